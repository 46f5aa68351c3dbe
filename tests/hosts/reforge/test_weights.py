"""Block weights on reForge: every LoRA's own factor for every layer, on clones, and the host's objects put back."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.resolve import Weights
from lib_trainer.hosts.webui.backend import Weighted
from tests.hosts.reforge.case import ReforgeCase

OUT = "lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
MID = "lora_unet_mid_block_attentions_0_proj_in"
TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"
KEYS = {
    OUT: "diffusion_model.output_blocks.3.1.transformer_blocks.0.attn1.to_q.weight",
    MID: "diffusion_model.middle_block.1.proj_in.weight",
    TEXT: "clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
}


def network(case: ReforgeCase, key: str) -> torch.nn.Module:
    unet, clip, _ = case.networks()
    return clip if key.startswith("clip_l") else unet


def write(case: ReforgeCase, name: str, layers: tuple[str, ...], seed: int, kind: str = "diff") -> dict[str, Any]:
    """Writes a LoRA of whole weights; returns them by layer."""
    generator = torch.Generator().manual_seed(seed)
    deltas = {layer: torch.randn(network(case, KEYS[layer]).get_parameter(KEYS[layer]).shape, generator=generator)
              for layer in layers}
    tensors = {f"{layer}.{kind}": delta for layer, delta in deltas.items()}
    save_file(tensors, case.host.paths.loras / f"{name}.safetensors")
    return deltas


def asked(name: str, strength: float = 1.0, **ratios: float) -> Weights:
    """Block weights: the named blocks, 1 elsewhere."""
    blocks = {**dict.fromkeys(ARCH_BLOCKS["sd15"], 1.0), **ratios} if ratios else None
    return Weights(name, strength, strength, blocks, "", f"{name}{strength}{ratios}")


@pytest.fixture
def drawing(case: ReforgeCase) -> Iterator[Any]:
    """`drawing(weights, ...)` does what a generation does before its first step; returns the comments."""
    from modules import sd_models

    backend = case.host.backend
    processing = SimpleNamespace(sd_model=case.model)

    def apply(*loras: Weights, weigh: bool = True) -> list[str]:
        import networks
        from ldm_patched.modules import model_management

        backend.unweigh(processing)
        strengths = [lora.te for lora in loras]
        networks.load_networks([lora.name for lora in loras], strengths, strengths, [None] * len(loras))
        found = backend.weigh(processing, [Weighted(at, lora) for at, lora in enumerate(loras)]) if weigh else []
        model = sd_models.model_data.sd_model
        model.forge_objects = model.forge_objects_after_applying_lora.shallow_copy()
        model_management.load_models_gpu([model.forge_objects.unet, model.forge_objects.clip.patcher])
        return found

    yield apply
    backend.unweigh(processing)


def changes(case: ReforgeCase) -> dict[str, torch.Tensor]:
    """What is merged into every layer now."""
    from modules import sd_models

    parts = sd_models.model_data.sd_model.forge_objects_original
    backups = {**parts.unet.backup, **parts.clip.patcher.backup}
    return {layer: network(case, key).get_parameter(key).detach() - backups[key].detach()
            for layer, key in KEYS.items() if key in backups}


def expect(case: ReforgeCase, wanted: Mapping[str, torch.Tensor]) -> None:
    found = changes(case)
    assert found.keys() == wanted.keys()
    for layer, change in wanted.items():
        torch.testing.assert_close(found[layer], change, rtol=0, atol=2e-6)  # rounding of a sum of float32


def test_each_lora_gets_its_own_weights_though_their_patches_lie_together(case: ReforgeCase, drawing: Any) -> None:
    """The first has no part for the text encoder and none in the middle: that shifts nothing."""
    first, second = write(case, "one", (OUT,), 1), write(case, "two", (OUT, MID, TEXT), 2)
    assert drawing(asked("one", OUT03=0.25), asked("two", 0.5, OUT03=2.0, M00=0.0, BASE=3.0)) == []
    expect(case, {OUT: 0.25 * first[OUT] + 0.5 * 2.0 * second[OUT], TEXT: 0.5 * 3.0 * second[TEXT]})


def test_the_same_lora_twice_acts_with_both_weights(case: ReforgeCase, drawing: Any) -> None:
    deltas = write(case, "twice", (OUT, MID), 3)
    drawing(asked("twice", 0.5, OUT03=0.0), asked("twice", 0.25, M00=0.0))
    expect(case, {OUT: 0.25 * deltas[OUT], MID: 0.5 * deltas[MID]})


def test_a_lora_that_does_not_act_at_all_shifts_nothing(case: ReforgeCase, drawing: Any) -> None:
    write(case, "off", (OUT,), 4)
    deltas = write(case, "on", (OUT, MID), 5)
    drawing(asked("off", 0.0), asked("on", M00=0.5))
    expect(case, {OUT: deltas[OUT], MID: 0.5 * deltas[MID]})


def test_a_patch_that_sets_a_weight_goes_at_0_only(case: ReforgeCase, drawing: Any) -> None:
    values = write(case, "setting", (OUT, MID), 6, kind="set_weight")
    drawing(asked("setting", OUT03=0.0, M00=0.5))
    assert changes(case).keys() == {MID}
    assert torch.equal(network(case, KEYS[MID]).get_parameter(KEYS[MID]), values[MID])


def test_merged_again_exactly_when_the_numbers_change(case: ReforgeCase, drawing: Any) -> None:
    write(case, "often", (OUT, TEXT), 7)

    def merged(**ratios: float) -> torch.nn.Parameter:
        drawing(asked("often", **ratios))
        return network(case, KEYS[OUT]).get_parameter(KEYS[OUT])

    first = merged(OUT03=0.5)
    assert merged(OUT03=0.5) is first
    second = merged(OUT03=0.25)
    assert second is not first
    plain = merged()
    assert plain is not second and not torch.equal(plain, second)


def test_the_hosts_own_objects_come_back(case: ReforgeCase, drawing: Any) -> None:
    deltas = write(case, "back", (OUT,), 8)
    drawing(asked("back"), weigh=False)
    stock = case.model.forge_objects_after_applying_lora
    patches = dict(stock.unet.patches)
    drawing(asked("back", OUT03=0.0))
    assert case.model.forge_objects_after_applying_lora is not stock and not changes(case)
    drawing(asked("back"), weigh=False)
    assert case.model.forge_objects_after_applying_lora is stock and stock.unet.patches == patches
    expect(case, {OUT: deltas[OUT]})


def test_weights_of_one_change_nothing(case: ReforgeCase, drawing: Any) -> None:
    write(case, "ones", (OUT,), 9)
    drawing(asked("ones"), weigh=False)
    stock = case.model.forge_objects_after_applying_lora
    drawing(asked("ones", OUT03=1.0))
    assert case.model.forge_objects_after_applying_lora is stock


def test_a_lora_for_another_kind_of_model_is_told(case: ReforgeCase, drawing: Any) -> None:
    save_file({"lora_unet_input_blocks_1_0_nowhere.diff": torch.ones(2)}, case.host.paths.loras / "strange.safetensors")
    assert drawing(asked("strange", OUT03=0.5)) == [
        "LoRA 'strange' has no layer that fits this checkpoint, so it has no effect: it was made for another kind."]


def test_a_clone_of_somebody_else_is_noticed(case: ReforgeCase) -> None:
    import networks

    write(case, "other", (OUT,), 10)
    networks.load_networks(["other"], [1.0], [1.0], [None])
    objects = case.model.forge_objects_after_applying_lora
    objects.unet = objects.unet.clone()
    found = case.host.backend.weigh(SimpleNamespace(sd_model=case.model), [Weighted(0, asked("other", OUT03=0.5))])
    assert len(found) == 1 and "another extension" in found[0]
    assert case.model.forge_objects_after_applying_lora is objects


def test_a_lora_trained_again_under_its_name_is_used(case: ReforgeCase, drawing: Any) -> None:
    write(case, "again", (OUT,), 11)
    drawing(asked("again"), weigh=False)
    new = write(case, "again", (OUT,), 12)
    case.host.lora_saved(Path(case.host.paths.loras / "again.safetensors"))
    drawing(asked("again"), weigh=False)
    expect(case, {OUT: new[OUT]})
