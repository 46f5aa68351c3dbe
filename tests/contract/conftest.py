"""Starts every host of `cases` once; each test of this folder runs over all of them."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.cases import CASES, HostCase


@pytest.fixture(scope="package", params=[*CASES.values()], ids=[*CASES])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCase]:
    made = request.param(tmp_path_factory.mktemp("host"))
    yield made
    made.close()
