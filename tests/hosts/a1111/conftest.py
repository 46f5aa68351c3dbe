"""AUTOMATIC1111 of doubles, started once for this folder."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts.a1111.case import A1111Case


@pytest.fixture(scope="package")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[A1111Case]:
    made = A1111Case(tmp_path_factory.mktemp("a1111"))
    yield made
    made.close()
