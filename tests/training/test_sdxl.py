"""Training an SDXL: names, size ids, pooled text, metadata; and v-prediction as SD 2.x has it."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from lib_trainer.families.sdxl import SDXL
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from tests.conftest import Settings
from tests.training.sdxl_host import SdxlHost


@pytest.fixture
def sdxl(checkpoint: Path, host: StandaloneHost) -> SdxlHost:
    return SdxlHost(checkpoint, host)


def train(config: TrainConfig, host: SdxlHost) -> tuple[list[float], file.Loaded]:
    """Returns the losses and the file."""
    events = list(recipe.run(config, host, Controls()))
    losses = [event.loss for event in events if isinstance(event, ev.Stepped)]
    return losses, file.load(host.paths.loras / f"{config.name}.safetensors")


def test_a_file_has_sdxls_names_and_metadata(sdxl: SdxlHost, settings: Settings) -> None:
    _, loaded = train(settings(clip_skip=2, conv_rank=1), sdxl)
    layers = {key.split(".")[0] for key in loaded.tensors}
    assert {name.split("_text_model")[0] for name in layers if not name.startswith("lora_unet_")} == {
        "lora_te1", "lora_te2"}
    assert all(SDXL.is_attention_layer(name) or SDXL.is_conv_layer(name) or SDXL.is_text_layer(name)
               for name in layers)
    assert loaded.metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert loaded.metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert loaded.metadata["ss_clip_skip"] == "None"  # which it does not have
    learned = {name for name in layers if bool((loaded.tensors[f"{name}.lora_up.weight"] != 0).any())}
    assert {"lora_te1", "lora_te2", "lora_unet"} == {name[:9].rstrip("_") if "unet" in name else name[:8]
                                                     for name in learned}


def test_sizes_are_those_of_every_picture(sdxl: SdxlHost, settings: Settings, pictures: Path) -> None:
    Image.new("RGB", (128, 96), (9, 9, 9)).save(pictures / "zko (1).png")
    losses, _ = train(settings(buckets=False, epochs=1), sdxl)
    square, wide = [64.0, 64, 0, 0, 64, 64], [96.0, 128, 0, 10, 64, 64]
    assert sorted(sdxl.told) == [square, square, wide]
    assert len(losses) == 3


def test_what_is_cached_trains_as_what_is_not(sdxl: SdxlHost, settings: Settings) -> None:
    """Latents, text states and pooled text come out of the caches as they went in; a batch's rounding apart."""
    common = {"train_text_encoder": False, "learning_rate": "1e-3", "save_precision": "float"}
    cached, ours = train(settings(name="cached", **common), sdxl)
    fresh, theirs = train(settings(name="fresh", cache_latents=False, cache_captions=False, **common), sdxl)
    assert cached == pytest.approx(fresh, rel=1e-4)
    assert ours.tensors.keys() == theirs.tensors.keys()


def test_size_ids_matter(sdxl: SdxlHost, settings: Settings, pictures: Path) -> None:
    before, _ = train(settings(name="small", epochs=1), sdxl)
    for path in pictures.glob("*.png"):
        Image.open(path).resize((256, 256), Image.Resampling.NEAREST).save(path)
    after, _ = train(settings(name="big", epochs=1), sdxl)
    assert {tuple(told) for told in sdxl.told} == {(256.0, 256, 0, 0, 64, 64)}
    assert before != pytest.approx(after, rel=1e-6)


def test_buckets_are_multiples_of_32_and_clip_skip_is_told(sdxl: SdxlHost, settings: Settings) -> None:
    findings = check.check(settings(clip_skip=2), sdxl)
    assert findings.datasets[0].buckets.step == 32
    assert any("Clip skip 2 does nothing" in text for text in findings.warnings)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_v_prediction_is_trained_and_recorded(
    checkpoint: Path, host: StandaloneHost, settings: Settings, tmp_path: Path, prediction: str
) -> None:
    """The same weights asked for another target give another loss and another record."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(checkpoint) | ({"v_pred": torch.zeros(0)} if prediction == "v" else {})
    folder = tmp_path / "v"
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "model.yaml").write_text(checkpoint.with_suffix(".yaml").read_text().replace("text", str(
        checkpoint.parent / "text")))
    v_host = StandaloneHost(folder / "model.safetensors", host.paths)
    events = list(recipe.run(settings(min_snr_gamma=5, epochs=1), v_host, Controls()))
    metadata = file.load(v_host.paths.loras / "zko.safetensors").metadata
    assert metadata["modelspec.prediction_type"] == prediction
    assert metadata["ss_base_model_version"] == ("sd_v1_v" if prediction == "v" else "sd_v1")
    assert all(0 < event.loss < 10 for event in events if isinstance(event, ev.Stepped))
