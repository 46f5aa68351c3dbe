"""The forecast counts as the run will: pictures, captions, buckets, steps; faults do not stop it."""
from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_trainer.blocks.presets import Presets
from lib_trainer.data.caches import cache_size
from lib_trainer.errors import UserError
from lib_trainer.families.sd1 import SD1
from lib_trainer.host import HostPaths
from lib_trainer.host_model import Checkpoint
from lib_trainer.keeping import AS_IT_IS, Keeping
from lib_trainer.training import config_reading
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.forecast import forecast
from lib_trainer.ui import dataset_card


class Host:
    """Knows its checkpoint, its folders and what is in the way; the forecast asks for nothing else."""

    name = "a host"

    def __init__(self, folder: Path, loaded: bool = True) -> None:
        self.paths = HostPaths(folder, folder, folder, folder)
        self._loaded = loaded

    def obstacles(self, keeping: Keeping = AS_IT_IS) -> list[str]:
        return []

    def remarks(self, keeping: Keeping) -> list[str]:
        return []

    def presets(self) -> Presets:
        return Presets.shipped()

    def checkpoint(self, base: Path | None = None) -> Checkpoint:
        if not self._loaded:
            raise UserError("No checkpoint is loaded.")
        return Checkpoint("model.safetensors", None, SD1, 128, "epsilon")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two training folders (3 x 2 repeats square, 1 x 5 wide) and one captioned picture."""
    for name, sizes in (("2_girl", [(128, 128)] * 3), ("5_wide", [(256, 64)])):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i, size in enumerate(sizes):
            Image.new("RGB", size).save(tmp_path / "data" / name / f"{i}.png")
    (tmp_path / "data" / "2_girl" / "0.txt").write_text("1girl")
    return tmp_path / "data"


def config(folder: Path, **changes: object) -> TrainConfig:
    return config_reading.from_dict({"images": str(folder), **changes})


def test_counts_follow_folders_and_settings(folder: Path, tmp_path: Path) -> None:
    found = forecast(config(folder, epochs=3, batch_size=4), Host(tmp_path))
    assert (len(found.items), found.captioned, found.samples) == (4, 1, 11)
    assert found.folders == [("2_girl", 2, 3), ("5_wide", 5, 1)]
    assert sorted(uses for _, _, uses in found.sizes) == [5, 6]
    assert (found.batches, found.steps, found.epochs) == (4, 12, 3)  # 6 -> 2 batches, 5 -> 2 batches
    assert forecast(config(folder, epochs=3, batch_size=4, gradient_accumulation=3), Host(tmp_path)).steps == 6
    assert forecast(config(folder, steps=50), Host(tmp_path)).steps == 50


def test_regularisation_pictures_double_the_uses(folder: Path, tmp_path: Path) -> None:
    reg = tmp_path / "reg"
    reg.mkdir()
    Image.new("RGB", (128, 128)).save(reg / "0.png")
    found = forecast(config(folder, reg_images=str(reg)), Host(tmp_path))
    assert found.reg_pictures == 1 and found.samples == 22


def test_steps_are_those_of_each_run(folder: Path, tmp_path: Path) -> None:
    once = forecast(config(folder), Host(tmp_path))
    rounds = forecast(config(folder, method="relora", rounds=4), Host(tmp_path))
    assert (once.runs, rounds.runs) == (1, 4) and rounds.steps == once.steps
    assert "runs, each of" in dataset_card.card(rounds) and "runs, each of" not in dataset_card.card(once)


def test_what_is_known_is_told_beside_the_faults(folder: Path, tmp_path: Path) -> None:
    without = forecast(config(folder), Host(tmp_path, loaded=False))
    assert len(without.items) == 4 and without.steps == 0 and "No checkpoint is loaded." in without.problems
    missing = forecast(config(folder / "none"), Host(tmp_path))
    assert missing.items == [] and len(missing.problems) == 1
    assert not any("Name" in problem for problem in missing.problems)
    assert missing.to_json()["pictures"] == 0


def test_what_the_cache_needs_is_told_and_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """128 px are 16x16 latents of 8 numbers of 4 bytes, and what an entry costs beside them."""
    monkeypatch.setattr(cache_size, "free_memory", lambda: 100_000)
    found = forecast(config(folder, flip=True), Host(tmp_path))
    assert found.cache_bytes == 4 * 2 * (16 * 16 * 8 * 4 + 2_000)
    assert any("need 0.0 GB of memory" in warning and "Keep the cache" in warning for warning in found.warnings)
    monkeypatch.setattr(cache_size, "free_memory", lambda: 70_000)
    assert any("switch 'Keep the cache' on" in problem for problem in forecast(
        config(folder, flip=True), Host(tmp_path)).problems)
    for settings in ({"cache_to_disk": True}, {"cache_latents": False}):
        told = forecast(config(folder, flip=True, **settings), Host(tmp_path))
        assert not any("GB" in sentence for sentence in told.problems + told.warnings)


def test_the_report_of_buckets_comes_with_it(folder: Path, tmp_path: Path) -> None:
    found = forecast(config(folder), Host(tmp_path))
    assert found.report is not None and found.report.pictures == 4
    assert [row.bucket for row in found.report.buckets] == [(128, 128), (256, 64)]
    assert found.to_json()["report"] is None
