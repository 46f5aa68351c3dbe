"""Starts every host of `cases` once; each test of this folder runs over all of them, some over all families too."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.cases import CASES, FAMILIES, HostCase

OVER_FAMILIES = ("test_model", "test_restores")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives a test its hosts."""
    if "case" in metafunc.fixturenames:
        name = metafunc.module.__name__.rpartition(".")[2]
        found = {**CASES, **(FAMILIES if name in OVER_FAMILIES else {})}
        metafunc.parametrize("case", [*found.values()], ids=[*found], indirect=True, scope="package")


@pytest.fixture(scope="package")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCase]:
    made = request.param(tmp_path_factory.mktemp("host"))
    yield made
    made.close()
