"""What saves memory changes no result but by rounding, and what cannot be had is said."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lib_trainer.errors import Problems
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.controls import Controls
from lib_trainer.txt2img_host import GenerateRequest
from tests import tiny_families
from tests.conftest import Settings
from tests.torch_version import since


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_families.write(tmp_path_factory.mktemp("sdxl"), "sdxl")


@pytest.fixture
def sdxl(checkpoint: Path, tmp_path: Path) -> StandaloneHost:
    return StandaloneHost(checkpoint, HostPaths(*(tmp_path / name for name in ("a", "b", "c", "d"))))


def picture(host: StandaloneHost) -> bytes:
    return host.generate(GenerateRequest("a cat", seed=3, steps=2))[0].image.tobytes()


@pytest.mark.parametrize(("changes", "rel"), [
    ({"gradient_checkpointing": True, "offload": True, "attention": "math"}, 1e-4),
    ({"precision": "bf16"}, 0.05), ({"base_precision": "fp8"}, 0.1),
    ({"base_precision": "fp8_unet", "precision": "bf16", "gradient_checkpointing": True, "train_text_encoder": False,
      "offload": True, "preview_prompts": "a cat", "preview_every_steps": 2, "preview_steps": 1,
      "preview_width": 64, "preview_height": 64}, 0.1),
    ({"adapter_precision": "bf16"}, 0.02),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_losses_are_those_of_a_plain_run_but_for_rounding(
    sdxl: StandaloneHost, settings: Settings, changes: dict[str, object], rel: float
) -> None:
    """fp8 rounds a weight to 4 bits, bf16 to 8: a loss of this untrained model moves by some percent."""
    before, found = picture(sdxl), []
    for name, given in (("plain", {}), ("kept", changes)):
        events = list(recipe.run(settings(name=name, epochs=1, **given), sdxl, Controls()))
        found.append([event.loss for event in events if isinstance(event, ev.Stepped)])
        loaded = file.load(sdxl.paths.loras / f"{name}.safetensors")
        assert all(bool(value.isfinite().all()) for value in loaded.tensors.values())
        assert picture(sdxl) == before  # nothing of the run stays on the host
    assert found[1] == pytest.approx(found[0], rel=rel) and len(found[0]) == 3


@since((2, 3), "an Adamax that computes in fp16 on the CPU")
def test_fp16_adapters_need_a_greater_eps(sdxl: StandaloneHost, settings: Settings) -> None:
    """The usual eps of 1e-8 is 0 in fp16: where an optimiser computes in it, its first update divides 0 by 0."""
    with pytest.raises(Problems, match=r"eps, which is 0 in fp16.*eps=1e-4"):
        check.check(settings(adapter_precision="fp16", optimizer="Adamax"), sdxl)
    config = settings(adapter_precision="fp16", optimizer="Adamax", optimizer_args="eps=1e-4", epochs=1)
    assert any("learns next to nothing" in text for text in check.check(config, sdxl).warnings)
    list(recipe.run(config, sdxl, Controls()))
    loaded = file.load(sdxl.paths.loras / "zko.safetensors")
    assert all(bool(value.isfinite().all()) for value in loaded.tensors.values())


def test_what_the_host_cannot_do_is_a_fault_with_all_others(sdxl: StandaloneHost, settings: Settings) -> None:
    if torch.cuda.is_available():
        pytest.skip("says what a machine without a card cannot do")
    with pytest.raises(Problems) as caught:
        check.check(settings(attention="flash", images="nowhere"), sdxl)
    assert len(caught.value.problems) >= 2 and any("'flash'" in fault for fault in caught.value.problems)
    assert any("in main memory already" in text for text in check.check(settings(offload=True), sdxl).warnings)


def test_prediction_over_the_checkpoints_own(sdxl: StandaloneHost, settings: Settings) -> None:
    assert any("says of itself that it predicts 'epsilon'" in text
               for text in check.check(settings(prediction="v"), sdxl).warnings)
    with pytest.raises(Problems, match="is for models that predict v"):
        check.check(settings(zero_terminal_snr="on"), sdxl)
    config = settings(prediction="v", zero_terminal_snr="on", min_snr_gamma=5, epochs=1, preview_prompts="a cat",
                      preview_every_steps=3, preview_steps=2)
    events = list(recipe.run(config, sdxl, Controls()))
    metadata = file.load(sdxl.paths.loras / "zko.safetensors").metadata
    assert (metadata["modelspec.prediction_type"], metadata["ss_zero_terminal_snr"]) == ("v", "True")
    assert any(isinstance(event, ev.Previewed) for event in events)
    assert all(0 < event.loss < 100 for event in events if isinstance(event, ev.Stepped))
