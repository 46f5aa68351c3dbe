"""reForge of doubles for a test, with one tiny checkpoint loaded."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts.reforge.case import ReforgeCase


@pytest.fixture(scope="package")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReforgeCase]:
    made = ReforgeCase(tmp_path_factory.mktemp("reforge"))
    yield made
    made.close()
