"""10,000 random and mutated tags and files: never an exception, never a part that does nothing in silence.

An item of a tag takes part when another value in its place gives another digest; an item that takes no part, or that
cannot be read, is quoted by a sentence. So is every named block and every rule inside an item, and every line of a file
that defines nothing.
"""
from __future__ import annotations

import math
import re
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_trainer.blocks.edited_file import Problem
from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import Tag, split
from lib_trainer.blocks.values import looks_like_item, shortened

_NCNF = "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"
_PRESETS = Presets.parse(f"# about\nNCNF:{_NCNF}\nNCNF:{_NCNF[:23]}\nVAR:X,R{',U' * 15}\nFLUX:1{',1' * 60}\nBAD:1,2\n"
                         f"a,b:{_NCNF}\nodd@1:{_NCNF}\n0.5x:{_NCNF}\nSDS:{_NCNF},0,0,0,0,0,0")
_ELEMENTS = Elements.parse("ATTN:IN05-OUT05:attn:0\n\nBAD:IN99:attn:0\n\nODD::atn:0.5\n\na/b:::1\n\nTWO:::0,:ff:1")

_NUMBERS = ("0", "1", "0.8", "-0.5", "1e-3", "X", "x+0.2", "X - 0.3", "R", "u", "nan", "inf", "1e999", "1_0", "\uff11",
            "-", "")
_BLOCKS = ("OUT03", "IN04-IN07", "mid", "M00 BASE", "OUT11", "OUT05-OUT03", "in", "MID1", "EMBED", "IN99", "OUR03", "")
_NAMES = ("NCNF", "ncnf", "NCFN", "VAR", "FLUX", "BAD", "XYZ", "zyx", "a,b", "odd@1", "0.5x", "SDS", "名前", "ALL")
_NAMED = st.builds("{}@{}".format, st.sampled_from(_BLOCKS), st.sampled_from(_NUMBERS))
_LISTS = st.builds(lambda count, numbers: ",".join((numbers * count)[:count]),
                   st.sampled_from((12, 16, 17, 20, 23, 25, 26, 61)),
                   st.lists(st.sampled_from(_NUMBERS[:10]), min_size=1, max_size=3))
_WEIGHTS = st.one_of(
    st.sampled_from(_NAMES), st.sampled_from(_NUMBERS), _LISTS,
    st.lists(st.sampled_from((*_NAMES, *_NUMBERS)) | _NAMED, min_size=1, max_size=4).map(",".join))
_RULE = st.builds("{}/{}@{}".format, st.sampled_from((*_BLOCKS, "NOT IN01", "NOT")),
                  st.sampled_from(("attn", "=proj", "attn1.to_out", "atn", "NOT ff", "NOT", "=", ".", "")),
                  st.sampled_from(_NUMBERS))
_RULES = st.lists(st.sampled_from(("ATTN", "attn", "ATNT", "BAD", "ODD", "a/b", "XYZ", "")) | _RULE, min_size=1,
                  max_size=3).map(",".join)
_STEPS = st.sampled_from(("1", "5", "0", "5-9", "9-5", "-3", "3-", "-", "1-2-3", "abc", "2.5", "", "9" * 20, "\u0665"))
_STRENGTHS = st.sampled_from(_NUMBERS)
_VALUES = {"lbw": _WEIGHTS, "w": _WEIGHTS, "LBW": _WEIGHTS, "te": _STRENGTHS, "unet": _STRENGTHS, "x": _STRENGTHS,
           "lbwe": _RULES, "start": _STEPS, "stop": _STEPS, "step": _STEPS, "dyn": st.sampled_from(("64", "a", "")),
           "lwb": _WEIGHTS, "": st.just("1"), "strat": _STEPS}
_KEYWORDS = st.sampled_from(sorted(_VALUES)).flatmap(
    lambda keyword: _VALUES[keyword].map(lambda value: f"{keyword}={value}"))
_SCHEDULES = st.sampled_from(("0.5@0,1@0.5", "1@0", "te=0.5@0,1@0.5"))
_ITEMS = st.one_of(_KEYWORDS, _KEYWORDS, st.sampled_from(_NUMBERS), _WEIGHTS, _SCHEDULES,
                   st.text(st.characters(exclude_characters=">:"), max_size=6))
_TAGS = st.lists(_ITEMS, max_size=5).map(lambda items: ":".join(["n", *items]))
_CHARACTERS = st.sampled_from(" ,=@/-.0159XRUabINOUT#\t\u3000é")
_MUTATIONS = st.lists(st.tuples(st.integers(0, 200), st.sampled_from("dri"), _CHARACTERS), max_size=3)
_ARCHS = st.sampled_from(("sd15", "sdxl"))

_PROBES = {"te": "0.123", "unet": "0.321", "lbw": "0.456", "w": "0.456", "x": "0.789", "lbwe": "/@0.654", "start": "7",
           "stop": "8", "step": "77-78"}
_FAST = settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _mutated(text: str, mutations: Sequence[tuple[int, str, str]]) -> str:
    for place, kind, character in mutations:
        at = place % (len(text) + 1)
        text = text[:at] + (character if kind != "d" else "") + text[at + (kind != "i"):]
    return text


def _resolved(items: Sequence[str], arch: str) -> tuple[Tag, Weights, str]:
    """Returns the tag, what it came to, and everything that is said of it apart from the tag itself."""
    (tag,) = split(f"<lora:{':'.join(items)}>")[1]
    weights = resolve(tag, _PRESETS, arch, _ELEMENTS, seed=5)
    said = " ".join((*weights.warnings, *weights.errors)).replace(tag.text, "this tag")
    return tag, weights, said


def _is_quoted(item: str, said: str) -> bool:
    keyword, equals, value = (part.strip() for part in item.partition("="))
    texts = (item, f"{keyword}={value}", value, f"{keyword}={shortened(value)}") if equals else (item,)
    is_empty = not (value if equals else item)
    return (is_empty and ("missing" in said or "nothing between" in said)) or any(
        f"'{quoted}'".casefold() in said.casefold() for text in texts for quoted in (text, shortened(text)))


def _probes(item: str) -> list[str]:
    keyword, equals, _ = (part.strip() for part in item.partition("="))
    if equals:
        return [f"{keyword}={_PROBES[keyword.lower()]}"] if keyword.lower() in _PROBES else []
    return ["0.123", "0.456,MID@0.5"]


def _takes_part(place: int, items: Sequence[str], digest: str, arch: str) -> bool:
    """Whether another value in the place of an item makes a difference."""
    return any(_resolved([*items[:place], probe, *items[place + 1:]], arch)[1].digest != digest
               for probe in _probes(items[place]))


def _check(items: Sequence[str], arch: str) -> None:
    tag, weights, said = _resolved(items, arch)
    numbers = (weights.te, weights.unet, *(weights.ratios or {}).values(), *weights.fine.values(),
               *(rule.ratio for rule in weights.rules))
    assert all(math.isfinite(number) and abs(number) <= 2e6 for number in numbers)
    if not tag.name:
        assert weights.errors
        return
    is_named = False
    for place, item in enumerate(items):
        if "=" not in item and not is_named:
            is_named = True
            continue
        if not _is_quoted(item.strip(), said):
            assert _takes_part(place, items, weights.digest, arch), (item, said)
    if weights.label and "@" in weights.label and _PRESETS.get(weights.label) is None:
        _check_named_blocks(weights, said, arch)


def _check_named_blocks(weights: Weights, said: str, arch: str) -> None:
    pieces = [piece.strip() for piece in weights.label.split(",")]
    for place, piece in enumerate(pieces):
        if "@" not in piece or f"'{shortened(piece)}'" in said:
            continue
        probed = ",".join([*pieces[:place], f"{piece.rpartition('@')[0]}@0.111", *pieces[place + 1:]])
        (tag,) = split(f"<lora:n:{weights.te!r}:{weights.unet!r}:lbw={probed}:x=0.9>")[1]
        (same,) = split(f"<lora:n:{weights.te!r}:{weights.unet!r}:lbw={weights.label}:x=0.9>")[1]
        answers = [resolve(one, _PRESETS, arch, seed=5).digest for one in (tag, same)]
        assert answers[0] != answers[1], (piece, said)


@_FAST
@given(_TAGS, _ARCHS)
def test_random_tags(tag: str, arch: str) -> None:
    _check(tag.split(":"), arch)


@_FAST
@given(_TAGS, _MUTATIONS, _ARCHS)
def test_mutated_tags(tag: str, mutations: list[tuple[int, str, str]], arch: str) -> None:
    _check((_mutated(tag, mutations).replace(">", "") or "n").split(":"), arch)


def _told(problems: Sequence[Problem]) -> set[int]:
    """The lines that problems speak of."""
    return {int(number) for problem in problems for number in re.findall(r"[Ll]ine (\d+)", problem.text)}


_ENTRIES = st.builds("{}{}{}".format, st.sampled_from((*_NAMES, "", "# c", "\ufffd")),
                     st.sampled_from((":", "", " : ", "::")), _LISTS)


@settings(_FAST, max_examples=2000)
@given(st.lists(_ENTRIES, max_size=3), _MUTATIONS, st.sampled_from(("\n", "\r\n", "\n\n")), _ARCHS)
def test_mutated_presets(lines: list[str], mutations: list[tuple[int, str, str]], end: str, arch: str) -> None:
    presets = Presets.parse(_mutated(end.join(lines), mutations))
    told = _told(presets.problems) | {preset.line for preset in presets.entries}
    for number, line in enumerate(re.split(r"\r\n|\r|\n", presets.text), start=1):
        meant = ":" in line and "#" not in line and any(
            looks_like_item(item.strip()) for item in line.partition(":")[2].split(","))
        assert not meant or number in told, line
    for name in presets.names:
        weights = resolve(Tag("lora", "n", named={"lbw": name}, text=f"<lora:n:lbw={name}>"), presets, arch)
        assert weights.ratios is not None or "Flux" in weights.errors[0]


_FILED_RULES = st.builds("{}:{}:{}".format, st.sampled_from((*_BLOCKS, "NOT IN01", "NOT")),
                         st.sampled_from(("attn", "=proj", "NOT ff", "=", "")), st.sampled_from(_NUMBERS))
_PARAGRAPHS = st.builds("{}:{}".format, st.sampled_from((*_NAMES, "", "# c")),
                        st.lists(_FILED_RULES, max_size=3).map(",".join))


@settings(_FAST, max_examples=2000)
@given(st.lists(_PARAGRAPHS, max_size=3), _MUTATIONS, st.sampled_from(("\n\n", "\r\n\r\n", "\n")))
def test_mutated_elemental_rules(paragraphs: list[str], mutations: list[tuple[int, str, str]], end: str) -> None:
    elements = Elements.parse(_mutated(end.join(paragraphs), mutations))
    first_lines = {entry.line for entry in elements.entries}
    told = _told(elements.problems)
    lines = re.split(r"\r\n|\r|\n", elements.text)
    for start, line in enumerate(lines):
        if line.strip() and not line.strip().startswith("#") and (start == 0 or not lines[start - 1].strip()):
            end_ = next((at for at in range(start, len(lines)) if not lines[at].strip()), len(lines))
            assert told & set(range(start + 1, end_ + 1)) or start + 1 in first_lines, line
    for entry in elements.entries:
        weights = resolve(Tag("lora", "n", named={"lbwe": entry.id}, text="<>"), _PRESETS, "sd15", elements)
        assert weights.rules == entry.rules and not weights.errors
