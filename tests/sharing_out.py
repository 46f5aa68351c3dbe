"""Which tests run in one process when the suite runs in several, and which of them begin first.

pytest-xdist deals tests out in groups that stay together. Which group a test is of is told here by its id alone: a
module is a group, since its tests share what its fixtures make; so is a host under contract, and a folder whose tests
share a running program. The browser's tests are one group, because two browsers on the two cores of a small machine
make each other late. (The mark `xdist_group` is not used: xdist writes it into ids, where pytest 9.2 no longer looks,
and says nothing about it: https://github.com/pytest-dev/pytest-xdist/issues/1386.)
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pytest

BROWSER, CONTRACT = "tests/browser", "tests/contract"
TOGETHER = (BROWSER, "tests/hosts/a1111")
"""Folders whose tests share one running program."""

HOST = re.compile(r"\[(\w+)")
"""The host in the id of a test of the contract; one host in several families is one."""


def group_of(test_id: str) -> str:
    """Returns the name of the group whose tests run in one process."""
    path, _, test = test_id.partition("::")
    folder = str(PurePosixPath(path).parent)
    host = HOST.search(test) if folder == CONTRACT else None
    if host:
        return f"{folder} of {host[1]}"
    return folder if folder in TOGETHER else path


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Returns the tests in the order in which their groups begin: none that takes long is left for the end.

    Else one process would still be at it when the others have nothing left to do. The browser's tests take longest of
    all, then groups with tests that are marked slow, then those with many tests.
    """
    counts: dict[str, int] = {}
    slow: set[str] = set()
    for item in items:
        group = group_of(item.nodeid)
        counts[group] = counts.get(group, 0) + 1
        if item.get_closest_marker("slow"):
            slow.add(group)

    def rank(item: pytest.Item) -> tuple[bool, bool, int]:
        group = group_of(item.nodeid)
        return group != BROWSER, group not in slow, -counts[group]

    return sorted(items, key=rank)


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Returns xdist's scheduler of whole groups, with groups and order as told here."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)
