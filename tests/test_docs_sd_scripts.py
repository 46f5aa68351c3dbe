"""docs/SD_SCRIPTS.md says what is so: every option of sd-scripts, what becomes of it, and the test that tries it."""
from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_trainer.cli.main import make_parser
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.imported import KINDS
from lib_trainer.training.interchange.network_args import NETWORK_ARGS
from lib_trainer.training.interchange.option import NEEDLESS, Option

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "SD_SCRIPTS.md").read_text(encoding="utf8")
HEAD = ["option", "default there", "ours", "what is otherwise here", "tested by"]


def tables() -> Iterator[tuple[list[str], list[list[str]]]]:
    """The tables: head and rows, as text."""
    for is_table, block in itertools.groupby(TEXT.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            head, _, *rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block)
            yield head, rows


ROWS = [row for head, rows in tables() if head == HEAD for row in rows]
EVERY = {**OPTIONS, **NETWORK_ARGS}


def test_every_option_has_one_row() -> None:
    named = [row[0].strip("`") for row in ROWS]
    assert sorted(named) == sorted([*OPTIONS, *NETWORK_ARGS])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_a_row_says_what_is_so(row: list[str]) -> None:
    option: Option = EVERY[row[0].strip("`")]
    default = str(option.default).lower() if isinstance(option.default, bool) else str(option.default or "")
    assert row[1].strip("`") == (default if option.default is not None and option.default != 0 else row[1].strip("`"))
    assert re.findall(r"`(\w+)`", row[2]) == list(option.fields)
    if not option.fields:
        verdict = "Means nothing here" if option.verdict == NEEDLESS else "Not supported"
        assert row[3] == f"{verdict}: {option.says}"
    assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", row[4])


def test_tests_that_are_named_exist() -> None:
    named = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))
    missing = [f"{file}::{name}" for file, name in named if not (ROOT / file).is_file() or (
        name and not re.search(rf"^def {name}\b", (ROOT / file).read_text(encoding="utf8"), re.MULTILINE))]
    assert named and not missing


def test_every_kind_of_source_is_named() -> None:
    (rows,) = (rows for head, rows in tables() if head == ["source", "what it becomes"])
    assert len(rows) == len(KINDS)


def test_commands_are_understood() -> None:
    lines = re.findall(r"^python -m lib_trainer (.+)$", TEXT, re.MULTILINE)
    assert lines
    for line in lines:
        make_parser().parse_args(shlex.split(line))
