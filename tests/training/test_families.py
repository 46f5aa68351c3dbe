"""Training SD 2.x and SDXL on the embedded host: names, size ids, pooled text, both encoders, prediction, metadata."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lib_trainer.families.sdxl import SDXL
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from tests import tiny_families
from tests.conftest import Settings
from tests.told_sizes import told_sizes


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("families")
    return {kind: tiny_families.write(folder, kind) for kind in tiny_families.KINDS}


def host_of(path: Path, folder: Path) -> StandaloneHost:
    return StandaloneHost(path, HostPaths(*(folder / name for name in ("loras", "outputs", "settings", "cache"))))


@pytest.fixture
def sdxl(files: dict[str, Path], tmp_path: Path) -> StandaloneHost:
    return host_of(files["sdxl"], tmp_path / "home")


@pytest.fixture
def told(sdxl: StandaloneHost) -> Iterator[list[list[float]]]:
    """The size ids of every prediction."""
    with told_sizes(sdxl) as found:
        yield found


def train(config: TrainConfig, host: StandaloneHost) -> tuple[list[float], file.LoraFile]:
    """Returns the losses and the file."""
    events = list(recipe.run(config, host, Controls()))
    losses = [event.loss for event in events if isinstance(event, ev.Stepped)]
    return losses, file.load(host.paths.loras / f"{config.name}.safetensors")


def learned(loaded: file.LoraFile) -> set[str]:
    """Returns the parts of which some layer has learned."""
    names = {name for name, value in loaded.tensors.items() if name.endswith("lora_up.weight") and bool(value.any())}
    return {name.split("_text_model")[0] if "_text_model" in name else "lora_unet" for name in names}


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_file_has_sdxls_names_and_metadata(sdxl: StandaloneHost, settings: Settings, checkpointing: bool) -> None:
    _, loaded = train(settings(clip_skip=2, conv_rank=1, gradient_checkpointing=checkpointing), sdxl)
    layers = {key.split(".")[0] for key in loaded.tensors}
    assert all(SDXL.is_attention_layer(name) or SDXL.is_conv_layer(name) or SDXL.is_text_layer(name)
               for name in layers)
    assert "lora_unet_input_blocks_7_1_transformer_blocks_1_attn2_to_k" in layers
    assert loaded.metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert loaded.metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert loaded.metadata["ss_clip_skip"] == "None"  # which it does not have
    assert learned(loaded) == {"lora_te1", "lora_te2", "lora_unet"}


def test_sizes_are_those_of_every_picture(
    sdxl: StandaloneHost, told: list[list[float]], settings: Settings, pictures: Path
) -> None:
    Image.new("RGB", (128, 96), (9, 9, 9)).save(pictures / "zko (1).png")
    losses, _ = train(settings(buckets=False, epochs=1), sdxl)
    square, wide = [64.0, 64, 0, 0, 64, 64], [96.0, 128, 0, 10, 64, 64]
    assert sorted(told) == [square, square, wide]
    assert len(losses) == 3


def test_what_is_cached_trains_as_what_is_not(sdxl: StandaloneHost, settings: Settings) -> None:
    """Latents, text states and pooled text come out of the caches as they went in; a batch's rounding apart."""
    common = {"train_text_encoder": False, "learning_rate": "1e-3", "save_precision": "float"}
    cached, ours = train(settings(name="cached", **common), sdxl)
    fresh, theirs = train(settings(name="fresh", cache_latents=False, cache_captions=False, **common), sdxl)
    assert cached == pytest.approx(fresh, rel=1e-4)
    assert ours.tensors.keys() == theirs.tensors.keys()


def test_sizes_are_those_before_scaling(
    sdxl: StandaloneHost, told: list[list[float]], settings: Settings, pictures: Path
) -> None:
    for path in pictures.glob("*.png"):
        Image.open(path).resize((256, 256), Image.Resampling.NEAREST).save(path)
    train(settings(epochs=1), sdxl)
    assert {tuple(ids) for ids in told} == {(256.0, 256, 0, 0, 64, 64)}


def test_clip_skip_is_told_to_do_nothing(sdxl: StandaloneHost, settings: Settings) -> None:
    findings = check.check(settings(clip_skip=2), sdxl)
    assert any("Clip skip 2 does nothing" in text for text in findings.warnings)


@pytest.mark.parametrize(("kind", "version", "prediction"), [
    ("sd2", "sd_v2", "epsilon"), ("sd2_v", "sd_v2_v", "v"), ("sd2_linear", "sd_v2", "epsilon"),
    ("sdxl_v", "sdxl_base_v1-0", "v"),
])
def test_every_family_is_trained_and_recorded(
    files: dict[str, Path], tmp_path: Path, settings: Settings, kind: str, version: str, prediction: str
) -> None:
    host = host_of(files[kind], tmp_path / "home")
    losses, loaded = train(settings(min_snr_gamma=5, epochs=1, max_tokens="150"), host)
    assert all(0 < loss < 10 for loss in losses)
    assert loaded.metadata["modelspec.prediction_type"] == prediction
    assert loaded.metadata["ss_base_model_version"] == version
    assert loaded.metadata["ss_v2"] == str(kind.startswith("sd2"))
    parts = {"lora_te1", "lora_te2"} if kind.startswith("sdxl") else {"lora_te"}
    assert learned(loaded) == parts | {"lora_unet"}
    projection = next(value for name, value in loaded.tensors.items() if name.endswith("proj_in.lora_down.weight"))
    assert projection.dim() == (4 if kind in ("sd2", "sd2_v") else 2)
