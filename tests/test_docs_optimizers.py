"""The page about optimisers and schedules names all of them, with the library that the table has."""
from __future__ import annotations

import re
from pathlib import Path

from lib_trainer.training.learning.optimizers import OPTIMIZERS
from lib_trainer.training.learning.schedules import SCHEDULES

PAGE = (Path(__file__).parents[1] / "docs" / "OPTIMIZERS.md").read_text(encoding="utf8")


def test_every_optimiser_is_in_the_table_with_its_library() -> None:
    libraries = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4:
            libraries |= dict.fromkeys(re.split(r", | = ", cells[0]), cells[1])
    for name, row in OPTIMIZERS.items():
        assert libraries[name].replace("-", "_") == re.split(r"[.:]", row.path)[0], name


def test_every_schedule_is_named() -> None:
    assert all(re.search(rf"\b{name}\b", PAGE) for name in SCHEDULES)
