"""docs/BLOCK_WEIGHT.md says what is so: every tag, sentence, command and test that it names is tried here.

Tags and commands of README.md, too.
"""
from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.layouts import ARCH_BLOCKS, names_of
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.selection import parse_blocks
from lib_trainer.blocks.tags import Tag, split
from lib_trainer.cli.main import make_parser
from lib_trainer.compare import peer_plot
from lib_trainer.hosts.webui import script_args

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "BLOCK_WEIGHT.md").read_text(encoding="utf8")
PRESETS = Presets.shipped()
ELEMENTS = Elements.shipped()
FENCED = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
REQUESTS = [json.loads(text) for kind, text in FENCED if kind == "json"]


def tables() -> Iterator[tuple[list[str], list[list[str]]]]:
    """The tables: head and rows, as text without the marks of code."""
    for is_table, block in itertools.groupby(TEXT.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block)
            yield head, rows


def rows_under(*head: str) -> list[list[str]]:
    return [row for columns, rows in tables() if columns[:len(head)] == list(head) for row in rows]


def one_tag(cell: str) -> Tag:
    (tag,) = split(cell)[1]
    return tag


def read(tag: Tag, arch: str = "sd15") -> Weights:
    return resolve(tag, PRESETS, arch, ELEMENTS, seed=1)


FAULTY = rows_under("tag", "what is said")
WITHOUT_REQUESTS = re.sub(r"```json\n.*?```", "", TEXT, flags=re.DOTALL)
GOOD = sorted({tag.text for tag in split(WITHOUT_REQUESTS)[1]} - {one_tag(row[0]).text for row in FAULTY})
SAME = [(row[0], row[2]) for row in rows_under("tag", "what it does", "the same as") if row[2]]


@pytest.mark.parametrize("written", [text for text in GOOD if "XYZ" not in text and "ZYX" not in text])
def test_every_tag_is_understood(written: str) -> None:
    for arch in ARCH_BLOCKS:
        assert read(one_tag(written), arch).errors == []
    told = [read(one_tag(written), arch).warnings for arch in ARCH_BLOCKS]
    assert [] in told or "dyn" in written


@pytest.mark.parametrize("tag", split((ROOT / "README.md").read_text(encoding="utf8"))[1], ids=lambda tag: tag.text)
def test_every_tag_of_the_readme_is_understood(tag: Tag) -> None:
    assert read(tag).errors == read(tag).warnings == []


@pytest.mark.parametrize(("tag", "same"), SAME, ids=[tag for tag, _ in SAME])
def test_what_is_said_to_be_the_same_is(tag: str, same: str) -> None:
    assert read(one_tag(tag)).digest == read(one_tag(same)).digest


@pytest.mark.parametrize(("written", "said"), [row[:2] for row in FAULTY])
def test_faults_are_told_in_these_words(written: str, said: str) -> None:
    weights = read(one_tag(written))
    assert [*weights.errors, *weights.warnings] == [said]


def test_layouts_are_those_of_the_table() -> None:
    rows = rows_under("numbers", "for", "names, in order")
    assert [int(row[0]) for row in rows] == [12, 17, 20, 26, 25, 23]
    for row in rows:
        names = [one for word in row[2].partition(";")[0].split() for one in _named(word)]
        assert names == list(names_of(int(row[0])))


def _named(word: str) -> list[str]:
    chosen = parse_blocks(word) if "-" in word else frozenset({word})
    return sorted(chosen)


def test_commands_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    lines = re.findall(r"^python -m lib_trainer (.+)$", f"{TEXT}\n{readme}".replace("\\\n", " "), re.MULTILINE)
    assert len(lines) > 8
    for line in map(" ".join, map(str.split, lines)):
        make_parser().parse_args(shlex.split(line, comments=True))


def test_written_rules_are_rules() -> None:
    found = [text for kind, text in FENCED if not kind and "python" not in text]
    assert found
    for text in found:
        read_rules = Elements.parse(text)
        assert len(read_rules.entries) == 2 and not read_rules.problems


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request_: request_["prompt"])
def test_requests_are_understood(request_: dict[str, Any]) -> None:
    args = script_args.read(request_["alwayson_scripts"]["LoRA Block Weight"]["args"])
    assert args.faults == [] and args.says_something
    if args.mode == script_args.PLOT:
        plot = peer_plot.plot_of(args.axes, peer_plot.Names(PRESETS, ELEMENTS, "sd15"), request_["prompt"])
        assert len(plot.cells) > 1 and not plot.told
        return
    weights = resolve(one_tag(request_["prompt"]), args.presets or PRESETS, "sd15", args.elements or ELEMENTS)
    assert not weights.errors and weights.ratios and weights.rules


def test_values_by_place_are_named_in_their_order() -> None:
    assert ", ".join(script_args.NAMES) in " ".join(TEXT.split())


def test_tests_that_are_named_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.(?:py|mjs))(?:::(\w+))?`", TEXT)
    assert named
    for file, name in named:
        path = ROOT / file
        assert path.is_file(), file
        assert not name or re.search(rf"\b{name}\b", path.read_text(encoding="utf8")), f"{file}::{name}"
