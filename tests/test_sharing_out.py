"""The tests of a module run in one process, whatever the versions of pytest and of its plugin for several processes."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests import sharing_out

ROOT = Path(__file__).parent.parent

RECORDS_ITS_PROCESS = """
import os
import pathlib
import pytest

@pytest.mark.parametrize("number", range(6))
def test_it(number):
    with open(pathlib.Path(__file__).with_suffix(".txt"), "a") as seen:
        print(os.environ["PYTEST_XDIST_WORKER"], file=seen)
"""


@pytest.mark.parametrize("test_id, group", [
    ("tests/blocks/test_tags.py::test_rest", "tests/blocks/test_tags.py"),
    ("tests/blocks/test_tags.py::test_rest[forge]", "tests/blocks/test_tags.py"),
    ("tests/browser/test_loop.py::test_the_loop", "tests/browser"),
    ("tests/hosts/a1111/test_port.py::test_it", "tests/hosts/a1111"),
    ("tests/contract/test_model.py::test_it[forge-dtype0-0]", "tests/contract of forge"),
    ("tests/contract/test_model.py::test_it[standalone-sdxl-1]", "tests/contract of standalone"),
    ("tests/contract/test_turns.py::test_without_a_host", "tests/contract/test_turns.py"),
])
def test_group(test_id: str, group: str) -> None:
    assert sharing_out.group_of(test_id) == group


def test_what_takes_long_begins_first() -> None:
    def item(test_id: str, slow: bool = False) -> Any:
        return SimpleNamespace(nodeid=test_id, get_closest_marker=lambda name: slow and name == "slow")

    found = [item("tests/a.py::one"), item("tests/b.py::one"), item("tests/b.py::two"), item("tests/c.py::one"),
             item("tests/c.py::two", slow=True), item("tests/browser/d.py::one")]
    assert [test.nodeid for test in sharing_out.longest_first(cast("list[pytest.Item]", found))] == [
        "tests/browser/d.py::one", "tests/c.py::one", "tests/c.py::two", "tests/b.py::one", "tests/b.py::two",
        "tests/a.py::one"]


def test_a_module_runs_in_one_process(tmp_path: Path) -> None:
    for name in ("test_first.py", "test_second.py"):
        (tmp_path / name).write_text(RECORDS_ITS_PROCESS, encoding="utf8")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.conftest", "-p", "no:cacheprovider", "-q", "-n",
         "2", "--dist", "loadgroup", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    assert ended.returncode == 0, ended.stdout + ended.stderr
    processes = [path.read_text(encoding="utf8").split() for path in sorted(tmp_path.glob("*.txt"))]
    assert [len(found) for found in processes] == [6, 6]
    assert all(len(set(found)) == 1 for found in processes), processes
