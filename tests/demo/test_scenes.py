"""The drawn world: reproducible, captions agree with scenes, and training never sees what it must not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_trainer.demo import scenes
from lib_trainer.demo.scenes import Scene

DATASET = Path(scenes.__file__).resolve().parents[1] / "assets" / "demo" / "dataset" / "zunko"


def test_the_same_seed_draws_the_same_picture() -> None:
    first, second = (scenes.draw(Scene(), 64, np.random.default_rng(3)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.size == (64, 64)
    assert first.tobytes() != scenes.draw(Scene(), 64, np.random.default_rng(4)).tobytes()


def test_the_same_seed_gives_the_same_scenes() -> None:
    first, second = ([Scene.random(rng) for _ in range(20)] for rng in map(np.random.default_rng, (5, 5)))
    assert first == second


def test_training_never_draws_withheld_pairs_nor_the_concepts_traits() -> None:
    rng = np.random.default_rng(0)
    drawn = [Scene.random(rng) for _ in range(2000)]
    assert not any(scene.is_withheld or scene.is_concept for scene in drawn)
    for name, value in scenes.CONCEPT_LOOK.items():
        assert all(getattr(scene, name) != value for scene in drawn)
    pairs = {(scene.hair, scene.background) for scene in drawn}
    assert len(pairs) + len(scenes.WITHHELD) == 5 * 6


def test_every_attribute_changes_the_picture() -> None:
    plain = scenes.draw(Scene())
    for name, values in scenes.ALL_VALUES.items():
        pictures = {scenes.draw(Scene(**{name: value})).tobytes() for value in values}
        assert len(pictures) == len(values), name
        assert plain.tobytes() in pictures


def test_caption_names_every_value_once() -> None:
    rng = np.random.default_rng(1)
    for scene in (Scene.random(rng) for _ in range(50)):
        words = scenes.caption(scene).split(", ")
        assert words[0] == "1girl"
        expected = {scenes.TAGS[pair] for pair in scene.values().items() if pair in scenes.TAGS}
        assert set(words[1:]) == expected and len(words) == len(expected) + 1


def test_tags_tell_values_apart() -> None:
    assert len(set(scenes.TAGS.values())) == len(scenes.TAGS)


def test_concept_caption_starts_with_the_trigger_and_leaves_the_look_to_it() -> None:
    text = scenes.caption(Scene.random_concept(np.random.default_rng(2)))
    assert text.startswith("zunko, 1girl, ")
    assert "hair" not in text and "kimono" not in text


def test_near_concepts_lack_part_of_the_look() -> None:
    rng = np.random.default_rng(2)
    for scene in (Scene.random_near_concept(rng) for _ in range(100)):
        shared = sum(getattr(scene, name) == value for name, value in scenes.CONCEPT_LOOK.items())
        assert shared in (1, 2)


def test_unknown_values_are_refused() -> None:
    with pytest.raises(ValueError, match="hair must be one of"):
        Scene(hair="plaid")


def test_sample_dataset_is_complete() -> None:
    for folder, least, most in (("train/8_zunko", 12, 24), ("reg/1_1girl", 20, 30)):
        pictures = sorted((DATASET / folder).glob("*.png"))
        assert least <= len(pictures) <= most
        for path in pictures:
            text = path.with_suffix(".txt").read_text().strip()
            assert text.startswith("zunko, " if folder.startswith("train") else "1girl, ")
            assert Image.open(path).size == (64, 64)


def test_pairs_differ_in_the_eyes_only() -> None:
    opened = sorted((DATASET / "pairs").glob("*_open.png"))
    assert len(opened) >= 3
    for path in opened:
        first = np.asarray(Image.open(path).convert("RGB")).astype(int)
        second = np.asarray(Image.open(path.with_name(path.name.replace("open", "closed"))).convert("RGB")).astype(int)
        rows, columns = np.nonzero(np.abs(first - second).sum(-1))
        assert "eyes" not in path.with_suffix(".txt").read_text()
        assert len(rows) and rows.min() > 18 and rows.max() < 48 and columns.min() > 10 and columns.max() < 54
