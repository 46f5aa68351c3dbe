"""Pairs of pictures are found by name, and whatever has no other half is told."""
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data.item import Item
from lib_trainer.data.scanning import pairs
from lib_trainer.data.scanning.pairs import Endings
from lib_trainer.data.subsets import Subset

ROOT = Path("pictures")
STEMS = st.text(st.characters(whitelist_categories=("L", "N"), max_codepoint=0x24F), min_size=1, max_size=6)
ENDINGS = st.sampled_from(["_after", "_closed", "-b", "ed"])


def item(name: str, caption: str = "", size: tuple[int, int] = (64, 64), subset: Subset | None = None) -> Item:
    return Item(subset or Subset("zko", ROOT), name, caption or "class", *size, captioned=bool(caption))


def shown(found: pairs.Paired) -> list[tuple[str, str]]:
    return [(one.file, one.partner.file) for one in found.items if one.partner]


def test_by_ending_in_one_folder() -> None:
    found = pairs.pair_in_one([item(name) for name in ("a.png", "b.jpg", "a_closed.png", "b_closed.webp")],
                              Endings("", "_closed"))
    assert shown(found) == [("a.png", "a_closed.png"), ("b.jpg", "b_closed.webp")]
    assert not found.problems and not found.unpaired


def test_both_endings_and_whatever_their_case() -> None:
    found = pairs.pair_in_one([item("Face_OPEN.png"), item("face_closed.png")], Endings("_open", "_closed"))
    assert shown(found) == [("Face_OPEN.png", "face_closed.png")]


def test_the_longer_ending_decides() -> None:
    found = pairs.pair_in_one([item("x_d.png"), item("x_ed_d.png")], Endings("_d", "_ed_d"))
    assert shown(found) == [("x_d.png", "x_ed_d.png")]


def test_the_same_names_in_two_folders_with_or_without_endings() -> None:
    after = Subset("after", Path("after"), prefix="after/")
    found = pairs.pair_in_two([item("1/a.png"), item("1/b.png")],
                              [item("1/b_after.png", subset=after), item("1/a.png", subset=after)], Endings())
    assert shown(found) == [("1/a.png", "1/a.png"), ("1/b.png", "1/b_after.png")]
    assert found.items[0].partner and found.items[0].partner.path == Path("after/1/a.png")


def test_all_faults_at_once() -> None:
    names = ["a_x.png", "a_y.png", "a_y.jpg", "lonely_x.png", "bereft_y.png", "neither.png", "wide_x.png"]
    found = pairs.pair_in_one([*map(item, names), item("wide_y.png", size=(128, 64))], Endings("_x", "_y"))
    text = "\n".join(found.problems)
    assert "2 pictures (a_y.png, a_y.jpg) would each be the second of the pair 'a'" in text
    assert "1 picture (lonely_x.png) without the second picture" in text
    assert "1 picture (bereft_y.png) without the first picture" in text
    assert "1 picture (neither.png) of no side" in text
    assert "wide_x.png has 64x64 pixels and wide_y.png 128x64: bring them to the same shape" in text
    assert len(found.problems) == 5
    assert {one.file for one in found.unpaired} >= {"lonely_x.png", "bereft_y.png", "neither.png"}


def test_endings_must_differ() -> None:
    assert "their own" in pairs.pair_in_one([item("a.png")], Endings("_A", "_a")).problems[0].replace("own,", "own")


def test_another_size_of_the_same_shape_is_scaled() -> None:
    found = pairs.pair_of_two(item("a.png"), item("b.png", size=(128, 129)))
    assert not found.problems and "128x129" in found.warnings[0]


@pytest.mark.parametrize(("first", "second", "expected"), [
    ("open", "closed", ("open", "closed")), ("girl", "", ("girl", "girl")), ("", "girl", ("girl", "girl")),
    ("", "", ("class", "class")),
])
def test_one_caption_does_for_both(first: str, second: str, expected: tuple[str, str]) -> None:
    one = pairs.pair_of_two(item("a.png", first), item("b.png", second)).items[0]
    assert one.partner and (one.caption, one.partner.caption) == expected
    assert one.captioned == one.partner.captioned == bool(first or second)


def test_sides_alone_and_the_repeats_of_the_first() -> None:
    often = Subset("10_zko", ROOT, repeats=10)
    found = pairs.pair_of_two(item("a.png", subset=often), item("b.png")).items
    assert [one.file for one in pairs.first_sides(found)] == ["a.png"]
    assert pairs.first_sides(found)[0].partner is None
    assert [(one.file, one.repeats) for one in pairs.second_sides(found)] == [("b.png", 10)]


@given(st.sets(STEMS, min_size=1, max_size=8), ENDINGS, st.data())
def test_every_picture_is_in_one_pair_or_told(stems: set[str], after: str, data: st.DataObject) -> None:
    """Whatever the names: nothing is lost, nothing is used twice, and complete pairs are found."""
    names = [f"{stem}.png" for stem in sorted(stems)]
    names += [f"{stem}{after}.png" for stem in sorted(stems) if data.draw(st.booleans())]
    items = [item(name) for name in dict.fromkeys(data.draw(st.permutations(names)))]
    found = pairs.pair_in_one(items, Endings("", after))
    used = [name for couple in shown(found) for name in couple]
    told = "\n".join(found.problems)
    assert {*used, *(one.file for one in found.unpaired)} == {one.file for one in items}
    assert not set(used) & {one.file for one in found.unpaired}
    assert len(used) == len(set(used))
    if not any(stem.casefold().endswith(after) for stem in stems):
        complete = {stem for stem in stems if f"{stem}{after}.png" in names}
        assert {(f"{stem}.png", f"{stem}{after}.png") for stem in complete} <= set(shown(found))
        assert bool(told) == bool(found.unpaired)
