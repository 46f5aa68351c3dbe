"""Captions: the order of operations, and files as people have them."""
from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data.captions import CaptionRules, Moment, UnreadableCaption, process, read_caption, tags

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "dataset_vectors.json").read_text(encoding="utf8"))
OURS = [case for case in VECTORS["captions"] if set(case["opts"]) <= {"shuffle_caption", "keep_tokens"}]
CAPTIONS = st.lists(st.text("abc ", min_size=1), max_size=6).map(",".join)


@pytest.mark.parametrize("case", OURS, ids=lambda case: repr(case["caption"]))
def test_matches_sd_scripts(case: dict[str, Any], tmp_path: Path) -> None:
    # The other cases of the file are settings that we do not have (wildcards, warm-up, prefixes, separators).
    file = tmp_path / "a.txt"
    file.write_text(case["caption"], encoding="utf8")
    caption, _ = read_caption(file)
    options = case["opts"]
    shuffle, keep = options.get("shuffle_caption", False), options.get("keep_tokens", 0)
    found = process(caption, random.Random(0), shuffle=shuffle, keep_tokens=keep)
    expected = case["out"]
    if shuffle:
        # Which of the orders comes is the generator's business; which tags stay first is not.
        assert tags(found)[:keep] == tags(expected)[:keep]
        found, expected = ", ".join(sorted(tags(found))), ", ".join(sorted(tags(expected)))
    assert found == expected


@given(CAPTIONS)
def test_untouched_without_rules(caption: str) -> None:
    rng = random.Random(1)
    state = rng.getstate()
    assert CaptionRules(keep_tokens=2).apply(caption, rng, Moment()) == caption
    assert rng.getstate() == state


@given(CAPTIONS, st.integers(0, 4), st.integers(), st.sampled_from([0.0, 0.3, 1.0]))
def test_kept_tags_stay_and_others_only_move_or_go(caption: str, keep: int, seed: int, dropout: float) -> None:
    found = process(caption, random.Random(seed), shuffle=True, keep_tokens=keep, tag_dropout=dropout)
    before, after = tags(caption), tags(found)
    assert after[:keep] == before[:keep]
    assert all(after.count(tag) <= before.count(tag) for tag in after)
    if dropout == 0.0:
        assert sorted(after) == sorted(before)
    if dropout == 1.0:
        assert after == before[:keep]


def test_every_order_comes_up() -> None:
    orders = {process("x, a, b, c", random.Random(seed), shuffle=True, keep_tokens=1) for seed in range(200)}
    assert len(orders) == 6


def test_whole_caption_dropout_takes_kept_tags_too() -> None:
    found = [process("x, a", random.Random(seed), keep_tokens=1, caption_dropout=0.25) for seed in range(400)]
    assert set(found) == {"", "x, a"}
    # 400 draws at 0.25: five standard deviations are 43.
    assert abs(found.count("") - 100) < 43


def test_tag_dropout_alone_keeps_the_order() -> None:
    found = process("a,b , c,d", random.Random(3), tag_dropout=0.5)
    assert tags(found) == sorted(tags(found))
    assert found == ", ".join(tags(found))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"zko, 1girl", ("zko, 1girl", 0)),
        (b"\xef\xbb\xbfzko, 1girl\r\n", ("zko, 1girl", 0)),
        (b"\r\n\r\n  zko \r\nmore\r\n\r\nand more", ("zko", 2)),
        ("ずん子, 緑髪".encode(), ("ずん子, 緑髪", 0)),
        (b"", ("", 0)),
        (b" \n\t\r\n", ("", 0)),
        (b"masterpiece, (a:1.2), \\(series\\)", ("masterpiece, (a:1.2), \\(series\\)", 0)),
    ],
)
def test_caption_files(content: bytes, expected: tuple[str, int], tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    assert read_caption(file) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ずん子, 緑髪".encode("cp932"), "Shift-JIS"),
        ("zko, 1girl".encode("utf-16"), "UTF-16"),
        ("zko, 1girl".encode("utf-16-le"), "UTF-16"),
        (b"\xff\x00\x81", "not UTF-8"),
    ],
)
def test_other_encodings_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with pytest.raises(UnreadableCaption, match=words):
        read_caption(file)
