"""Another file's presets and rules come into ours, and nothing of ours is lost."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.element_editing import ELEMENTS
from lib_trainer.blocks.elements import SHIPPED as RULES
from lib_trainer.blocks.hints import Hint
from lib_trainer.blocks.merging import BOTH, KEEP, REPLACE, merge
from lib_trainer.blocks.preset_editing import PRESETS
from lib_trainer.blocks.presets import SHIPPED, Presets

ONES, ZEROS, XL = ",".join("1" * 17), ",".join("0" * 17), ",".join("1" * 12)
OURS = f"# mine\n\n# my face\nFACE:{ONES}\nBODY:{ONES}\n"
THEIRS = (f"# a section\n# second line\n# folklore: hands\nHAND:{ZEROS}\r\nFACE:{ZEROS}\n"
          f"BODY:{ONES.replace('1', '1.0')}\nFACE:{XL}\nSHORT:1,2,3\nno preset\nA=B:{ONES}\n")


def _numbers(text: str) -> dict[tuple[str, int], str]:
    return {(preset.name, len(preset.items)): preset.items[0] for preset in Presets.parse(text).entries}


def test_what_is_new_comes_with_its_comments_and_ours_stays() -> None:
    found = merge(PRESETS, OURS, THEIRS)
    assert found.text == (f"{OURS}# a section\n# second line\n# folklore: hands\nHAND:{ZEROS}\nFACE:{XL}\n")
    assert [item.key.name for item in found.added] == ["HAND", "FACE"]
    assert [item.key.name for item in found.same] == ["BODY"]
    assert [(clash.ours.line, clash.theirs.line) for clash in found.clashes] == [(4, 5)]
    assert [problem.line for problem in found.problems] == [8]
    assert ["'A=B'" in sentence and "'='" in sentence for sentence in found.refused] == [True]


def test_a_clash_is_settled_as_the_person_says() -> None:
    replaced = merge(PRESETS, OURS, THEIRS, REPLACE).text
    assert _numbers(replaced)["FACE", 17] == "0"
    assert "# my face\n" in replaced
    both = merge(PRESETS, OURS, THEIRS, BOTH)
    assert (_numbers(both.text)["FACE", 17], _numbers(both.text)["FACE_2", 17]) == ("1", "0")
    assert list(both.taken_as.values()) == ["FACE_2"]


@pytest.mark.parametrize("clashing", [KEEP, REPLACE, BOTH])
def test_merging_again_changes_nothing(clashing: str) -> None:
    once = merge(PRESETS, OURS, THEIRS, clashing).text
    assert merge(PRESETS, once, THEIRS, clashing).text == once


def test_a_new_preset_does_not_take_a_comment_for_its_hint() -> None:
    found = merge(PRESETS, "# only a comment", f"# far\n#\nA:{ONES}\n")
    assert [(item.key.name, item.hint) for item in PRESETS.items(found.text)] == [("A", Hint())]
    assert found.text.startswith("# only a comment\n")


_LINES = st.lists(st.sampled_from(("# c", "#", "", "words", "# folklore: d", *(
    f"{name}:{','.join([number] * n)}" for name in ("A", "B") for number in ("0", "1") for n in (12, 17)))), max_size=7)


@given(_LINES, _LINES, st.sampled_from([KEEP, REPLACE, BOTH]))
def test_nothing_of_ours_is_lost(ours: list[str], theirs: list[str], clashing: str) -> None:
    text, other = "\n".join(ours), "\n".join(theirs)
    found = merge(PRESETS, text, other, clashing)
    before, after, there = _numbers(text), _numbers(found.text), _numbers(other)
    assert before.keys() | there.keys() <= after.keys()
    if clashing == REPLACE:
        assert {**before, **there} == after or found.refused
    else:
        assert before.items() <= after.items()
        assert all(found.text.split("\n").count(line) >= ours.count(line) for line in ours if line)
    assert len(found.added) + len(found.same) + len(found.clashes) == len(there)


def test_shipped_presets_that_are_missing_come_back() -> None:
    shipped = SHIPPED.read_text(encoding="utf8")
    ours = f"NF:{ONES}\n"
    found = merge(PRESETS, ours, shipped)
    assert len(found.added) == len(Presets.shipped().entries) - 1
    assert [clash.theirs.key.name for clash in found.clashes] == ["NF"]
    assert PRESETS.items(found.text)[0].body == ONES
    assert found.text.count("# ----") == shipped.count("# ----")
    assert {item.key: item.hint for item in PRESETS.items(shipped)}.items() >= {
        item.key: item.hint for item in PRESETS.items(found.text) if item.key.name != "NF"}.items()
    assert merge(PRESETS, shipped, shipped).text == shipped


def test_rules_merge_as_presets_do() -> None:
    shipped = RULES.read_text(encoding="utf8")
    found = merge(ELEMENTS, "MINE:M00::0\n\nATTNDEEPON:M00:attn:1", shipped)
    assert [item.key.name for item in found.added] == ["ATTNDEEPOFF", "PROJDEEPOFF"]
    assert [clash.theirs.key.name for clash in found.clashes] == ["ATTNDEEPON"]
    assert merge(ELEMENTS, found.text, shipped).text == found.text
