"""Which checkpoint is loaded, what forbids training on it, and the host's loader."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from lib_trainer.data.caches.latent_cache import check_numbers
from lib_trainer.errors import UserError
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.hosts.a1111 import backend, loaded, obstacles
from tests import tiny_checkpoint
from tests.data_tests.items import item
from tests.hosts.a1111.case import A1111Case


def model_of(**values: Any) -> Any:
    """Returns as much of a host's model as tells its kind."""
    channels = values.pop("channels", 4)
    unet = SimpleNamespace(input_blocks=[[nn.Conv2d(channels, 8, 3)]])
    inside = SimpleNamespace(conditioning_key=values.pop("conditioning_key", "crossattn"), diffusion_model=unet)
    text = SimpleNamespace(wrapped=SimpleNamespace(transformer=SimpleNamespace(text_model=nn.Module())))
    kinds = {"is_sd1": True, "is_sd2": False, "is_sdxl": False, "is_sd3": False}
    return SimpleNamespace(**{
        "sd_checkpoint_info": SimpleNamespace(filename="/models/some.safetensors"), "parameterization": "eps",
        "model": inside, "cond_stage_model": text, "image_size": 64, **kinds, **values})


def sdxl(embedders: int) -> Any:
    conditioner = SimpleNamespace(embedders=[SimpleNamespace(wrapped=1)] * embedders + [SimpleNamespace()])
    made = model_of(is_sdxl=True, conditioner=conditioner)
    del made.image_size
    return made


@pytest.mark.parametrize(("model", "family", "resolution", "prediction"), [
    (model_of(), SD1, 512, "epsilon"),
    (model_of(image_size=8), SD1, 64, "epsilon"),
    (model_of(is_sd2=True), SD2, 512, "epsilon"),
    (model_of(is_sd2=True, parameterization="v"), SD2, 768, "v"),
    (sdxl(2), SDXL, 1024, "epsilon"),
], ids=["sd1", "narrow", "sd2", "sd2-v", "sdxl"])
def test_the_family_is_known(model: Any, family: Any, resolution: int, prediction: str) -> None:
    found = loaded.facts(model)
    assert (found.name, found.path) == ("some.safetensors", Path("/models/some.safetensors"))
    assert (found.family, found.resolution, found.prediction) == (family, resolution, prediction)


@pytest.mark.parametrize(("model", "said"), [
    (model_of(is_sd3=True), "SD 3"),
    (model_of(channels=9), "inpainting .* 9 input channels"),
    (model_of(conditioning_key="crossattn-adm"), "more than a prompt"),
    (model_of(parameterization="x0"), "predicts 'x0'"),
    (model_of(cond_stage_model=SimpleNamespace(wrapped=SimpleNamespace(roberta=1))), "not CLIP"),
    (sdxl(1), "refiner"),
    (sdxl(0), "being loaded"),
    (model_of(cond_stage_model=SimpleNamespace(transformer=1)), "being loaded"),
])
def test_other_models_are_refused_by_name(model: Any, said: str) -> None:
    with pytest.raises(UserError, match=rf"'some\.safetensors'.*{said}"):
        loaded.facts(model)


def test_no_model_is_never_loaded_for_a_question(case: A1111Case) -> None:
    from modules import sd_models

    model, sd_models.model_data.sd_model = case.model, None
    try:
        asked = backend.make()
        assert asked.identity() is None and asked.obstacles() == []
        with pytest.raises(UserError, match="No checkpoint is loaded"):
            asked.checkpoint()
        assert sd_models.model_data.sd_model is None
    finally:
        sd_models.model_data.sd_model = model


def test_the_same_file_loaded_again_is_the_same(case: A1111Case) -> None:
    from modules import sd_models

    before, model = case.host.backend.identity(), case.model
    sd_models.reload_model_weights(forced_reload=True)
    assert case.model is not model and case.host.backend.identity() == before
    with case.host.borrow_model() as lease, lease.turn() as borrowed:
        inside = {id(module) for module in case.model.modules()}
        assert all(id(target.module) in inside for target in borrowed.targets())


def test_parts_that_a_switch_wraps_anew_are_found(case: A1111Case) -> None:
    with case.host.borrow_model() as lease:
        with lease.turn() as borrowed:
            first = [target.module for target in borrowed.targets()]
        wrapper = type(case.model.cond_stage_model)(case.model.cond_stage_model.wrapped)
        case.model.cond_stage_model = wrapper
        with lease.turn() as borrowed:
            assert [target.module for target in borrowed.targets()] == first
            assert borrowed.encode_captions(["a"]).hidden.shape == (1, 77, tiny_checkpoint.TEXT_WIDTH)


def test_an_unlisted_file_is_loaded_and_selected(case: A1111Case, tmp_path: Path) -> None:
    from modules import shared

    file = tiny_checkpoint.write(tmp_path, "elsewhere.safetensors", seed=5)
    try:
        with case.host.borrow_model(file) as lease, lease.turn() as model:
            assert model.checkpoint.path == file and shared.opts.sd_model_checkpoint == file.name
    finally:
        case.load_checkpoint(first=True)
    with pytest.raises(UserError, match=r"no checkpoint file '.*gone\.safetensors'"):
        case.host.backend.load(tmp_path / "gone.safetensors")


def test_a_file_that_the_host_cannot_load_says_why(case: A1111Case, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\0" * 20)
    with pytest.raises(UserError, match=r"cannot load 'broken\.safetensors' \(\w+"):
        case.host.backend.load(broken)
    case.load_checkpoint(first=True)


@pytest.mark.parametrize(("settings", "said"), [
    ({"lowvram": True}, "--medvram"),
    ({"current_unet": object()}, "SD Unet"),
    ({"fp8": True, "device": torch.device("cuda"), "dtype_inference": torch.float32}, "FP8 weight"),
    ({"device": torch.device("cuda")}, "moved out of memory"),
])
def test_settings_that_forbid_training_are_named(
    case: A1111Case, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], said: str
) -> None:
    from modules import devices, sd_unet

    with case.host.borrow_model() as lease:
        for name, value in settings.items():
            owner = {"lowvram": case.model, "current_unet": sd_unet}.get(name, devices)
            monkeypatch.setattr(owner, name, value)
        assert any(said in sentence for sentence in obstacles.found())
        with pytest.raises(UserError, match=said), lease.turn():
            pass
        monkeypatch.undo()
        with lease.turn():
            pass


def test_a_vae_without_numbers_is_told_with_the_picture(case: A1111Case) -> None:
    bias = case.model.first_stage_model.quant_conv.bias
    kept = bias.detach().clone()
    with case.host.borrow_model() as lease, lease.turn() as model:
        bias.data.fill_(float("nan"))
        try:
            with pytest.raises(UserError, match=r"zko\.png"):
                check_numbers(*model.encode_images(torch.zeros(1, 3, 64, 64)), [item("zko.png")])
        finally:
            bias.data.copy_(kept)


def test_embeddings_of_a_broken_off_prompt_do_not_get_into_captions(case: A1111Case) -> None:
    from modules.sd_hijack import model_hijack

    with case.host.borrow_model() as lease, lease.turn() as model:
        wanted = model.encode_captions(["a cat"]).hidden
        model_hijack.fixes = [[(0, torch.ones(1, tiny_checkpoint.TEXT_WIDTH))]]
        assert torch.equal(model.encode_captions(["a cat"]).hidden, wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_weights_in_few_bits_train_float32_adapters(
    case: A1111Case, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    """As the host loads them by default, and as its FP8 setting stores them."""
    from modules import devices

    from tests.contract import snapshots, steps

    computes = torch.bfloat16 if dtype == torch.float8_e4m3fn else dtype
    try:
        monkeypatch.setattr(devices, "fp8", dtype == torch.float8_e4m3fn)
        monkeypatch.setattr(devices, "dtype_unet", dtype if not devices.fp8 else torch.float32)
        monkeypatch.setattr(devices, "autocast", lambda disable=False: torch.autocast("cpu", computes))
        for module in (*case.model.model.modules(), *case.model.cond_stage_model.modules()):
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.to(dtype)
        with case.host.borrow_model() as lease:
            before = snapshots.networks(case.networks())
            with lease.turn() as model:
                assert model.compute_dtype == computes
                made = steps.network(model)
                with made.attached(model.targets()), model.checkpointing():
                    assert steps.backward(model).dtype == torch.float32
                assert all(bool(grad.isfinite().all()) for grad in steps.gradients(made).values())
            assert snapshots.networks(case.networks()) == before
    finally:
        monkeypatch.undo()
        case.load_checkpoint(first=False)
        case.load_checkpoint(first=True)
