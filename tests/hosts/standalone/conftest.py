"""One small embedded host for the tests of this folder that only draw with it."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from tests import tiny_checkpoint


def paths_in(folder: Path) -> HostPaths:
    return HostPaths(folder / "loras", folder / "outputs", folder / "settings", folder / "cache")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.write(tmp_path_factory.mktemp("models"))


@pytest.fixture
def host(checkpoint: Path, tmp_path: Path) -> StandaloneHost:
    return StandaloneHost(checkpoint, paths_in(tmp_path))
