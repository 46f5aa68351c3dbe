"""The shipped detector reads drawn pictures, and the shipped checkpoint has the shape and size it promises."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from lib_trainer.demo import scenes
from lib_trainer.demo.scenes import Scene

ASSETS = Path(scenes.__file__).resolve().parents[1] / "assets" / "demo"


def _read(kind: str, count: int, seed: int) -> tuple[list[Scene], list[dict[str, str]]]:
    pytest.importorskip("torch")
    from lib_trainer.demo import detector

    rng = np.random.default_rng(seed)
    drawn = [getattr(Scene, kind)(rng) for _ in range(count)]
    return drawn, detector.detect([scenes.draw(scene, 64, rng) for scene in drawn])


def test_reads_ordinary_pictures() -> None:
    drawn, found = _read("random", 100, 31)
    for name in scenes.BASE_VALUES:
        right = np.mean([f[name] == getattr(scene, name) for scene, f in zip(drawn, found, strict=True)])
        assert right >= 0.98, name
    assert all(f["concept"] == "no" for f in found)


def test_concept_answer_needs_the_whole_look() -> None:
    _, found = _read("random_concept", 50, 32)
    assert np.mean([f["concept"] == "yes" for f in found]) >= 0.98
    _, found = _read("random_near_concept", 50, 33)
    assert np.mean([f["concept"] == "no" for f in found]) >= 0.96


def test_pictures_of_other_sizes_are_read() -> None:
    pytest.importorskip("torch")
    from lib_trainer.demo import detector

    assert detector.detect([]) == []
    assert detector.detect([scenes.draw(Scene(hair="blue"), 128)])[0]["hair"] == "blue"


def test_checkpoint_has_the_topology_of_sd15_and_a_small_size() -> None:
    path = ASSETS / "demo.safetensors"
    assert path.stat().st_size <= 24_000_000
    with path.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    names = set(header) - {"__metadata__"}
    unet = [name.removeprefix("model.diffusion_model.") for name in names if name.startswith("model.diffusion_model.")]
    for side in ("input_blocks", "output_blocks"):
        assert {int(name.split(".")[1]) for name in unet if name.startswith(side)} == set(range(12))
    attended = {".".join(name.split(".")[:2]) for name in unet if ".1.transformer_blocks.0.attn2.to_k" in name}
    expected = {f"input_blocks.{i}" for i in (1, 2, 4, 5, 7, 8)} | {f"output_blocks.{i}" for i in range(3, 12)}
    assert attended == expected | {"middle_block.1"}
    assert any(name.startswith("first_stage_model.decoder.up.3.block.1.") for name in names)
    assert "cond_stage_model.transformer.text_model.final_layer_norm.bias" in names
    assert {header[name]["dtype"] for name in names} <= {"F16", "I64"}


def test_the_process_wide_generator_is_left_as_it_was() -> None:
    """Else the first bench of a process would change what others draw in it."""
    torch = pytest.importorskip("torch")
    from lib_trainer.demo import detector

    before = torch.get_rng_state()
    detector._load.cache_clear()
    detector.detect([scenes.draw(Scene.random(np.random.default_rng(1)), 64, np.random.default_rng(1))])
    assert torch.equal(torch.get_rng_state(), before)
