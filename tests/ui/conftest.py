"""A real app on a tiny checkpoint: what the page's tests press their buttons on."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.bootstrap import App
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from tests import tiny_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.write(tmp_path_factory.mktemp("models"))


def app_in(checkpoint: Path, folder: Path) -> App:
    host = StandaloneHost(checkpoint, HostPaths(
        folder / "loras", folder / "outputs", folder / "settings", folder / "cache"))
    return App(host, Jobs(host))


@pytest.fixture
def app(checkpoint: Path, tmp_path: Path) -> App:
    """An app of the test's own."""
    return app_in(checkpoint, tmp_path)


@pytest.fixture(scope="session")
def shared_app(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> App:
    """An app for tests that leave no trace in it."""
    return app_in(checkpoint, tmp_path_factory.mktemp("shared"))
