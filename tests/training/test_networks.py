"""Whole trainings of every kind of network: the file draws what the live adapters drew, and can be gone on with."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, config_reading
from lib_trainer.training import events as ev
from lib_trainer.training.controls import Controls
from lib_trainer.txt2img_host import GenerateRequest
from tests.conftest import Settings
from tests.training.runs import of, same_tensors, stop_after, tensors, train

FULL = {"layers": "full", "conv_rank": 2}
SOME = {"blocks": "IN01-IN03, M00, OUT11"}
"""Blocks with layers of every sort: the heavier kinds are trained on these alone, to be quick."""

KINDS: dict[str, dict[str, Any]] = {
    "lora": {"conv_rank": 2, "use_scalar": True, "rs_lora": True, "tucker": True},
    "lora_fa": {"algorithm": "lora_fa", "network_dropout": 0.1},
    "dylora": {"algorithm": "dylora", "conv_rank": 2},
    "dora": {"dora": True, "conv_rank": 2, **SOME, "rank_dropout": 0.1, "module_dropout": 0.1},
    "loha": {"algorithm": "loha", "tucker": True, **FULL, **SOME},
    "lokr": {"algorithm": "lokr", "factor": 4, "dora": True, **FULL, **SOME},
    "ia3": {"algorithm": "ia3", "layers": "ia3"},
    "oft": {"algorithm": "oft", "rescaled": True, "constraint": 0.1, **FULL, **SOME},
    "oft_kohya": {"algorithm": "oft_kohya", "train_text_encoder": False, "alpha": 0.1, "layers": "attn-only",
                  **SOME},
    "full": {"algorithm": "full", "layers": "full", "train_norm": True, "scale_weight_norms": 0.5, **SOME},
}


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), dtype=np.int16)


def written(host: StandaloneHost, name: str = "zko") -> file.LoraFile:
    return file.load(host.paths.loras / f"{name}.safetensors")


def drawn(host: StandaloneHost, prompt: str) -> np.ndarray:
    request = GenerateRequest(prompt=prompt, seed=1, steps=2, cfg=7.0)
    return pixels(next(iter(host.generate(request))).image)


@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_file_draws_what_the_live_adapters_drew(
    host: StandaloneHost, settings: Settings, kind: str
) -> None:
    config = settings(**{"learning_rate": "0.02", "save_precision": "float", "epochs": 1, "preview_prompts": "zko",
                         "preview_every_steps": 3, "preview_at_first": True, "preview_steps": 2, "preview_seed": 1,
                         **KINDS[kind]})
    events = train(config, host)
    first, last = (event.files[0] for event in of(ev.Previewed, events))
    live = pixels(Image.open(last))
    assert [event for event in of(ev.Warned, events) if "tensors" in event.message] == []
    losses = [event.loss for event in of(ev.Stepped, events)]
    assert len(losses) == 3 and np.isfinite(losses).all()
    with_file = drawn(host, "zko <lora:zko:1>")
    # The change of a weight is worked out by LyCORIS' form while it learns, by our own from the file: the last bits
    # differ, and a picture by a level or two.
    assert np.abs(with_file - live).max() <= 2
    assert np.abs(with_file - live).max() < np.abs(with_file - pixels(Image.open(first))).max()


def test_the_record_names_the_module_that_makes_it(host: StandaloneHost, settings: Settings) -> None:
    train(settings(name="plain", epochs=1, network_dropout=0.1, rank_dropout=0.2, lora_plus=4.0), host)
    train(settings(name="lokr", epochs=1, **KINDS["lokr"]), host)
    plain, lokr = written(host, "plain").metadata, written(host, "lokr").metadata
    assert (plain["ss_network_module"], plain["ss_network_dim"], plain["ss_network_alpha"]) == (
        "networks.lora", "2", "1.0")
    assert plain["ss_network_dropout"] == "0.1"
    assert json.loads(plain["ss_network_args"]) == {
        "rank_dropout": "0.2", "loraplus_lr_ratio": "4.0", "dropout": 0.1}
    assert lokr["ss_network_module"] == "lycoris.kohya"
    assert json.loads(lokr["ss_network_args"]) == {
        "algo": "lokr", "preset": "full", "dora_wd": "True", "factor": "4", "conv_dim": "2", "conv_alpha": "1.0",
        "dropout": None}


@pytest.mark.parametrize("kind", ["loha", "lokr", "oft_kohya"])
def test_a_file_of_any_kind_is_gone_on_with(host: StandaloneHost, settings: Settings, kind: str) -> None:
    """A rate of almost nothing: the second run's file is the first one's, in names and in numbers."""
    made = {"save_precision": "float", "epochs": 1, **KINDS[kind]}
    train(settings(name="first", **made), host)
    train(settings(name="second", continue_from="first", save_precision="float", epochs=1, learning_rate="1e-12",
                   optimizer="SGDNesterov"), host)
    first, second = written(host, "first"), written(host, "second")
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        torch.testing.assert_close(second.tensors[name], tensor, rtol=1e-5, atol=1e-7)
    assert second.metadata["ss_network_module"] == first.metadata["ss_network_module"]
    assert (second.metadata["ss_network_dim"], second.metadata["ss_network_alpha"]) == (
        first.metadata["ss_network_dim"], first.metadata["ss_network_alpha"])


def test_alpha_is_adopted_or_rescaled(host: StandaloneHost, settings: Settings) -> None:
    """Bug 20 of the reference trainer is not copied: alpha and weights always belong together, in the file as well."""
    rest = {"continue_from": "first", "learning_rate": "1e-12", "optimizer": "SGDNesterov", "save_precision": "float",
            "epochs": 1, "alpha": 8.0, "rank": 16}
    train(settings(name="first", epochs=1, save_precision="float"), host)
    train(settings(name="adopted", **rest), host)
    train(settings(name="rescaled", continue_alpha="rescale", **rest), host)
    first, adopted, rescaled = (written(host, name) for name in ("first", "adopted", "rescaled"))
    assert (adopted.metadata["ss_network_alpha"], rescaled.metadata["ss_network_alpha"]) == ("1.0", "8.0")
    layer = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    effects = []
    for found in (first, adopted, rescaled):
        down, up = (found.tensors[f"{layer}.lora_{part}.weight"] for part in ("down", "up"))
        effects.append(up @ down * found.tensors[f"{layer}.alpha"] / down.shape[0])
    assert (float(adopted.tensors[f"{layer}.alpha"]), float(rescaled.tensors[f"{layer}.alpha"])) == (1.0, 8.0)
    torch.testing.assert_close(effects[1], effects[0], rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(effects[2], effects[0], rtol=1e-4, atol=1e-9)


def test_the_settings_may_say_which_layers_a_continued_lora_has(host: StandaloneHost, settings: Settings) -> None:
    train(settings(name="first", epochs=1, train_text_encoder=False), host)
    train(settings(name="more", epochs=1, continue_from="first", dim_from_weights=False, conv_rank=2), host)
    first, more = written(host, "first").tensors, written(host, "more").tensors
    assert first.keys() < more.keys()
    assert any(name.startswith("lora_te_") for name in more) and any("_resnets_" in name for name in more)
    with pytest.raises(UserError, match=r"another rank than the settings say.*with 2 in place of 4"):
        train(settings(name="other", epochs=1, continue_from="first", dim_from_weights=False, rank=4), host)


def test_loras_beneath_act_and_stay(host: StandaloneHost, settings: Settings) -> None:
    """They change the loss and the previews, never their own file; the new one knows nothing of them."""
    train(settings(name="style", epochs=1, learning_rate="0.05", algorithm="loha"), host)
    before = (host.paths.loras / "style.safetensors").read_bytes()
    shown = {"epochs": 1, "preview_prompts": "zko", "preview_every_steps": 3, "preview_steps": 2}
    alone = train(settings(name="alone", **shown), host)
    above = train(settings(name="above", base_loras="style:0.5", **shown), host)
    assert of(ev.Stepped, alone)[0].loss != of(ev.Stepped, above)[0].loss
    pictures = [pixels(Image.open(of(ev.Previewed, events)[-1].files[0])) for events in (alone, above)]
    assert np.abs(pictures[0] - pictures[1]).max() > 2
    assert (host.paths.loras / "style.safetensors").read_bytes() == before
    assert written(host, "alone").tensors.keys() == written(host, "above").tensors.keys()
    together = drawn(host, "zko <lora:style:0.5> <lora:above:1>")
    assert np.abs(together - drawn(host, "zko <lora:above:1>")).max() > 2


def test_norms_are_limited_in_every_update(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(epochs=1, learning_rate="0.1", scale_weight_norms=0.05), host)
    told = [event.norms for event in of(ev.Stepped, events)]
    assert all(norms["max_norm"] <= 0.05 * 1.0001 and norms["average_norm"] <= norms["max_norm"] for norms in told)
    assert told[0]["keys_scaled"] > 0
    assert of(ev.Stepped, train(settings(name="free", epochs=1), host))[0].norms == {}


def test_dropout_is_repeated_exactly(host: StandaloneHost, settings: Settings) -> None:
    dropped = {"epochs": 1, "network_dropout": 0.3, "rank_dropout": 0.3, "module_dropout": 0.3}
    for name in ("one", "two"):
        train(settings(name=name, **dropped), host)
    train(settings(name="three", **dropped, gradient_checkpointing=True), host)
    train(settings(name="none", epochs=1), host)
    one, two, three, none = (written(host, name).metadata["sshs_model_hash"] for name in (
        "one", "two", "three", "none"))
    assert one == two and one != none
    assert three == one  # checkpointing meets the same masks, and computes the same bits here


@pytest.mark.parametrize(
    ("values", "match"),
    [({"block_dims": ",".join("1" * 23)}, "23 numbers are for SDXL"), ({"block_dims": "IN04:1.5"}, "whole number"),
     ({"block_lrs": "NCNG"}, "did you mean the preset NCNF"), ({"base_loras": "nothing:1"}, "there is no such LoRA"),
     ({"block_lrs": "IN04:-1"}, "a factor is 0 or more")],
)
def test_what_only_the_host_knows_is_told_before_the_start(
    host: StandaloneHost, settings: Settings, values: dict[str, Any], match: str
) -> None:
    with pytest.raises(Problems, match=match):
        check.check(settings(**values), host)


def test_a_preset_gives_rates(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(epochs=1, block_lrs="NCNF"), host)
    layers = {name.split(".")[0] for name in written(host).tensors}
    assert "lora_unet_mid_block_attentions_0_proj_in" in layers
    assert not any("_up_blocks_1_" in name for name in layers)
    assert of(ev.Started, events)[0].layers == len(layers)


@pytest.mark.parametrize(
    ("values", "match"),
    [({"algorithm": "lokr", "network_dropout": 0.1}, "Network dropout' does nothing with LoKr, it is for LoRA and"),
     ({"factor": 8}, "'LoKr factor' does nothing with LoRA, it is for LoKr"),
     ({"layers": "full"}, r"conv_rank is 0: set a conv rank \(LyCORIS takes the rank itself, 16\)"),
     ({"layers": "full-lin", "conv_rank": 4}, "leaves the 3x3 convolutions alone"),
     ({"tucker": True}, "it is for 3x3 convolutions"), ({"dora": True, "network_dropout": 0.5}, "nothing with DoRA"),
     ({"algorithm": "dylora", "dylora_unit": 3}, "does not divide the rank 16"),
     ({"algorithm": "dylora", "conv_rank": 4}, "one rank for all layers"),
     ({"algorithm": "oft_kohya"}, "for the U-Net only"),
     ({"continue_alpha": "rescale"}, "'Continue from LoRA' is empty"),
     ({"base_loras": ":0.5"}, "has no name"), ({"block_dims": "1,2"}, "this one has 2"),
     ({"algorithm": "ia3", "block_dims": "IN04:1"}, "which has no rank"), ({"dora_on_output": False}, "dora is off"),
     ({"algorithm": "loha", "lora_plus": 4}, "has no up factor"),
     ({"algorithm": "lokr", "factor": 0}, "at least one row"), ({"conv_block_alphas": "IN04:1"}, "no convolution"),
     ({"algorithm": "lokr", "full_matrix": True, "decompose_both": True}, "each forbids the other"),
     ({"block_lr_zero_threshold": 0.1}, "'Learning rate by block' is empty")],
)
def test_settings_that_do_nothing_or_contradict_are_told(values: dict[str, Any], match: str) -> None:
    with pytest.raises(Problems, match=match) as caught:
        config_reading.from_dict({"name": "zko", **values})
    assert len(caught.value.problems) == 1


def test_the_file_of_a_run_is_as_big_as_was_forecast(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    from lib_trainer.training.continuing import network_of

    for kind, values in KINDS.items():
        config = settings(name=kind, **values)
        with host.borrow_model() as lease, lease.turn() as model:
            network, _, _ = network_of(config, host, model)
        path = tmp_path / f"{kind}.safetensors"
        file.save(path, network.state_dict(torch.float32), {})
        header = 8 + int.from_bytes(path.read_bytes()[:8], "little")
        assert path.stat().st_size - header == 4 * network.numbers


@pytest.mark.parametrize("kind", ["dylora", "lokr"])
def test_a_stopped_run_of_any_kind_goes_on_bit_for_bit(host: StandaloneHost, settings: Settings, kind: str) -> None:
    """With everything that draws at random or acts between updates."""
    drawing = {"dylora": {"module_dropout": 0.3}, "lokr": {"rank_dropout": 0.3}}
    values = {"scale_weight_norms": 0.2, "learning_rate": "0.02", "save_precision": "float", "epochs": 1, **SOME,
              **KINDS[kind], **drawing[kind]}
    train(settings(name="whole", **values), host)
    controls = Controls()
    train(settings(**values), host, stop_after(2, controls), controls)
    train(settings(resume="auto", **values), host)
    assert same_tensors(tensors(host), tensors(host, "whole"))


def test_lokr_says_where_the_rank_is_too_big_for_it(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(algorithm="lokr", rank=64, epochs=1, blocks="M00"), host)
    told = [event.message for event in of(ev.Warned, events) if "both matrices of LoKr whole" in event.message]
    assert len(told) == 1 and "rank 64 is half of their sides or more" in told[0]
