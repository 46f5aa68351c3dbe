"""Caches survive whatever ends their program: what is there is whole, what is not there is made by the next run."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from lib_trainer.data.plan import Plan
from tests.data_tests import fill_cache
from tests.data_tests.drawn import caption

PICTURES = 4


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    for index in range(PICTURES):
        picture = Image.effect_noise((64, 64), 50 + index).convert("RGBA")
        picture.putalpha(Image.linear_gradient("L").resize((64, 64)))
        (tmp_path / "pics").mkdir(exist_ok=True)
        picture.save(tmp_path / "pics" / f"{index}.png")
        caption(tmp_path / "pics" / f"{index}.txt", "a" * (index + 1))
    return fill_cache.plan(tmp_path / "pics")


def program(folder: Path, planned: Plan, call: str = "fsync", number: int = 0) -> subprocess.Popen[bytes]:
    pictures = planned.pictures[0].item.path.parent
    return subprocess.Popen([sys.executable, "-m", "tests.data_tests.fill_cache", folder, pictures, call, str(number)])


def check(folder: Path, planned: Plan) -> int:
    """Fills what is missing and compares everything with a cache in memory; returns how much was missing."""
    latents, texts, missing = fill_cache.fill(folder, planned)
    model = fill_cache.Model()
    fresh = fill_cache.LatentCache(1)
    list(fresh.fill(planned.pictures, lambda: model))
    for epoch in range(1, 4):
        for batch in planned.batches(epoch):
            for sample in batch.samples:
                ours, expected = latents.find(sample), fresh.find(sample)
                assert ours is not None and expected is not None
                for name in ("mean", "std", "mask"):
                    assert torch.equal(getattr(ours, name), getattr(expected, name))
    states = texts.conditioning(planned.captions)
    assert states is not None and states.hidden[:, 0, 0].tolist() == [1, 2, 3, 4]
    return missing


@pytest.mark.parametrize(("call", "number"), [
    ("fsync", 1), ("fsync", 5), ("replace", 3), ("replace", 2 * PICTURES + 2),
])
def test_killed_while_a_file_is_written(call: str, number: int, planned: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert program(folder, planned, call, number).wait(120) == fill_cache.KILLED
    whole = list(folder.rglob("*.safetensors"))
    assert len(whole) < 3 * PICTURES  # mirrored and straight ones, and captions
    left = list(folder.rglob("*.tmp"))
    assert left, "it was killed with a half-made file on the disk"
    assert check(folder, planned) == 3 * PICTURES - len(whole)
    assert check(folder, planned) == 0


def test_two_programs_at_once(planned: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    programs = [program(folder, planned) for _ in range(2)]
    assert [one.wait(120) for one in programs] == [0, 0]
    assert check(folder, planned) == 0
    assert len(list(folder.rglob("*.safetensors"))) == 3 * PICTURES and not list(folder.rglob("*.tmp"))
