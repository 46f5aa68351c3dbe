"""A small real host (the embedded one, with a random checkpoint of some megabytes) and a few pictures to train on.

Heavy packages are imported inside the fixtures: tests of the block weights run without torch.
"""
from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import sharing_out

if TYPE_CHECKING:
    from lib_trainer.hosts.standalone.host import StandaloneHost
    from lib_trainer.training.config import TrainConfig

# The models of the tests are tiny, so a second thread gains nothing; and on shared cores, threads that wait for each
# other have made one test take 174 s instead of 3 s. Programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# On a busy machine an example takes many times as long as the one before; that is no fault. The examples are the same
# in every run, so that a change is judged by what it changed; `--hypothesis-profile searching` looks for other ones.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.register_profile("searching", deadline=None, derandomize=False)
hypothesis.settings.load_profile("steady")

Settings = Callable[..., "TrainConfig"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Orders the tests for several processes; in one they run as they are written."""
    if hasattr(config, "workerinput"):
        items[:] = sharing_out.longest_first(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Lets every test begin with the same process-wide generators, whichever tests ran before it in its process."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.manual_seed(0)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keeps tests together that share something, where `--dist loadgroup` asks for it."""
    return sharing_out.scheduler(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import tiny_checkpoint

    return tiny_checkpoint.write(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def other_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import tiny_checkpoint

    return tiny_checkpoint.write(tmp_path_factory.mktemp("models"), "other.safetensors", seed=1)


@pytest.fixture
def host(checkpoint: Path, tmp_path: Path) -> StandaloneHost:
    from lib_trainer.host import HostPaths
    from lib_trainer.hosts.standalone.host import StandaloneHost

    home = tmp_path / "home"
    return StandaloneHost(checkpoint, HostPaths(home / "loras", home / "outputs", home / "settings", home / "cache"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three square pictures with captions: one bucket."""
    from PIL import Image

    folder = tmp_path / "pictures (1)"
    folder.mkdir()
    for index, colour in enumerate([(220, 40, 40), (40, 220, 40), (40, 40, 220)]):
        Image.new("RGB", (64, 64), colour).save(folder / f"zko ({index}).png")
        (folder / f"zko ({index}).txt").write_text(f"zko, colour {index}", encoding="utf8")
    return folder


@pytest.fixture
def settings(pictures: Path) -> Settings:
    """Makes configs of a short run: 3 pictures, 2 epochs."""

    def make(**changes: Any) -> TrainConfig:
        from lib_trainer.training import config_reading

        values = {"name": "zko", "images": str(pictures), "repeats": 1, "epochs": 2, "rank": 2, "alpha": 1.0,
                  "learning_rate": "1e-3"}
        return config_reading.from_dict({**values, **changes})

    return make
