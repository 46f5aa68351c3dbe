"""Trainings with crops, colours, masks and caches, on the embedded host with a tiny checkpoint."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from lib_trainer.errors import Problems
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from tests.conftest import Settings

SHORT: dict[str, Any] = {
    "epochs": 2, "train_text_encoder": False, "blocks": "OUT09-OUT11", "save_precision": "float", "batch_size": 2,
}


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    """Three pictures of a quarter white, whose masks (and alpha) are that quarter."""
    for folder in ("pictures", "masks"):
        (tmp_path / folder).mkdir()
    for index in range(3):
        mask = Image.new("L", (96, 64), 0)
        ImageDraw.Draw(mask).rectangle((index * 16, 0, index * 16 + 47, 31), fill=255)
        mask.convert("RGB").save(tmp_path / "masks" / f"{index}.png")
        picture = Image.effect_noise((96, 64), 80).convert("RGBA")
        picture.putalpha(mask)
        picture.save(tmp_path / "pictures" / f"{index}.png")
    return tmp_path


def train(config: TrainConfig, host: StandaloneHost) -> tuple[list[float], str, list[ev.Event]]:
    """Returns the losses, the hash of what was learned, and the events."""
    events = list(recipe.run(config, host, Controls()))
    losses = [event.loss for event in events if isinstance(event, ev.Stepped)]
    return losses, file.load(host.paths.loras / f"{config.name}.safetensors").metadata["sshs_model_hash"], events


@pytest.mark.parametrize("how", [
    {"color_aug": True, "random_crop": True, "flip": True},
    {"color_aug": True, "random_crop": True, "flip": True, "cache_variants": 2},
    {"alpha_mask": True, "random_crop": True},
])
def test_cached_or_not_and_again_the_same_bits(
    how: dict[str, Any], host: StandaloneHost, settings: Settings, masked: Path
) -> None:
    """What is drawn follows from seed, epoch and use; batches of one, so that the VAE's last bits do not differ."""
    common = {**SHORT, **how, "images": str(masked / "pictures"), "resolution": "64", "buckets": False,
              "batch_size": 1}
    ways = {"memory": {}, "pixels": {"cache_latents": False}, "disk": {"cache_to_disk": True},
            "again": {"cache_to_disk": True}}
    if how.get("cache_variants"):
        del ways["pixels"]  # variants are drawn for the cache alone
    found = {name: train(settings(name=name, **{**common, **way}), host)[1] for name, way in ways.items()}
    assert len(set(found.values())) == 1


def test_a_mask_folder_learns_as_the_alpha_channel_does(
    host: StandaloneHost, settings: Settings, masked: Path
) -> None:
    common = {**SHORT, "images": str(masked / "pictures"), "resolution": "64"}
    alpha, ours, _ = train(settings(name="alpha", alpha_mask=True, **common), host)
    folder, theirs, _ = train(settings(name="folder", mask_folder=str(masked / "masks"), masked_loss=True, **common),
                              host)
    plain, neither, _ = train(settings(name="plain", **common), host)
    assert ours == theirs and alpha == folder and all(map(math.isfinite, alpha))
    assert neither != ours and plain != pytest.approx(alpha, rel=1e-3)


def test_a_mask_of_nothing_teaches_nothing(host: StandaloneHost, settings: Settings, masked: Path) -> None:
    for path in (masked / "masks").iterdir():
        Image.new("L", (96, 64), 0).save(path)
    losses, _, _ = train(settings(
        **SHORT, images=str(masked / "pictures"), mask_folder=str(masked / "masks"), masked_loss=True), host)
    assert set(losses) == {0.0}


def test_captions_kept_on_disk_are_those_of_caption_encoder_and_clip_skip(
    host: StandaloneHost, settings: Settings, pictures: Path
) -> None:
    def files() -> int:
        return len(list((host.paths.cache / "captions").rglob("*.safetensors")))

    kept = {**SHORT, "cache_captions_to_disk": True, "epochs": 1}
    _, memory, _ = train(settings(**{**kept, "name": "memory", "cache_captions_to_disk": False}), host)
    _, first, _ = train(settings(name="first", **kept), host)
    assert files() == 3
    _, second, _ = train(settings(name="second", **kept), host)
    assert files() == 3 and memory == first == second
    (pictures / "zko (1).txt").write_text("zko, another colour", encoding="utf8")
    _, edited, _ = train(settings(name="edited", **kept), host)
    assert files() == 4 and edited != first
    train(settings(name="skipped", clip_skip=2, **kept), host)
    assert files() == 7


def test_a_damaged_cache_is_told_and_made_anew(host: StandaloneHost, settings: Settings) -> None:
    kept = {**SHORT, "cache_to_disk": True, "epochs": 1}
    _, first, _ = train(settings(name="first", **kept), host)
    damaged = sorted((host.paths.cache / "latents").rglob("*.safetensors"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    _, second, events = train(settings(name="second", **kept), host)
    told = [event.message for event in events if isinstance(event, ev.Warned)]
    assert first == second and any("1 files of the cache were damaged" in one and damaged.name in one for one in told)


def test_a_training_goes_on_when_its_cache_is_emptied(host: StandaloneHost, settings: Settings) -> None:
    """What is gone is encoded again in the step: other batches, so only the last bits differ."""
    config = settings(name="emptied", **{**SHORT, "cache_to_disk": True, "batch_size": 1})
    losses: list[float] = []
    for event in recipe.run(config, host, Controls()):
        if isinstance(event, ev.Stepped):
            losses.append(event.loss)
            for path in (host.paths.cache / "latents").rglob("*.safetensors"):
                path.unlink()
    whole, _, _ = train(settings(name="whole", **{**SHORT, "batch_size": 1}), host)
    assert losses == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize(("changes", "told"), [
    ({"mask_folder": "masks"}, "'Masked loss' on"),
    ({"masked_loss": True}, "no picture has a mask"),
    ({"masked_loss": True, "mask_folder": "none"}, "cannot be read"),
    ({"masked_loss": True, "mask_folder": "pictures/.."}, "3 pictures have no mask"),
    ({"bucket_step": 40}, "SD 1.x needs a multiple of 64"),
    ({"face_crop": "4,2"}, "the smaller one first"),
    ({"face_crop": "two"}, "Face crop must be two numbers"),
    ({"background": "256,0,0"}, "from 0 to 255"),
    ({"interpolation": "lanczos4"}, "Scaling must be"),
    ({"cache_to_disk": True, "cache_latents": False}, "'Keep the cache' off"),
    ({"cache_captions_to_disk": True, "cache_captions": False}, "'Keep the caption cache' off"),
    ({"cache_variants": 2, "cache_latents": False}, "cache_latents is off"),
])
def test_what_does_not_go_together_is_told(
    changes: dict[str, Any], told: str, host: StandaloneHost, masked: Path
) -> None:
    if "mask_folder" in changes:
        changes = {**changes, "mask_folder": str(masked / changes["mask_folder"])}
    with pytest.raises(Problems, match=told) as raised:
        check.read({"name": "x", "images": str(masked / "pictures"), **changes}, host)
    assert len(raised.value.problems) == 1


def test_what_is_not_cached_and_not_found_is_told(host: StandaloneHost, settings: Settings) -> None:
    told = check.check(settings(color_aug=True, face_crop="2.0, 4.0"), host).warnings
    assert any("3 pictures look different at every use" in one for one in told)
    assert any("3 of 3 pictures have no face box" in one for one in told)
    assert any("does nothing" in one for one in check.check(settings(cache_variants=3), host).warnings)
