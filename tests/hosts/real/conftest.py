"""The real WebUI of a test run: `python -m pytest tests/hosts/real --host-kind a1111 --host /path/to/webui ...`.

Without a path every test here is skipped, so that the suite needs no WebUI. One host is started for a whole run; its
data folder is kept in pytest's temporary folder.
"""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.real import server, training
from tests.hosts.real.page import HostPage
from tests.hosts.real.server import Program, Server

DEMO = server.ROOT / "lib_trainer" / "assets" / "demo"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("real hosts")
    group.addoption("--host-kind", choices=sorted(server.FLAGS), help="which WebUI it is")
    group.addoption("--host", type=Path, help="folder of the WebUI (where launch.py lies)")
    group.addoption("--host-python", type=Path, help="Python of the WebUI's environment")
    group.addoption("--models", type=Path, help="folder of checkpoints; the first by name is used, SDXL last")
    group.addoption("--host-flags", default=" ".join(server.FULL_PRECISION), help="further flags of the WebUI")
    group.addoption("--faults", type=int, default=20, help="at how many random points a training is broken")
    group.addoption("--traintrain", type=Path, help="folder of sd-webui-traintrain, for the comparison")
    group.addoption("--traintrain-packages", type=Path, help="folder of packages that only the peer needs")
    group.addoption("--block-weight", type=Path, help="folder of sd-webui-lora-block-weight, for the comparison")


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest) -> Program:
    """The WebUI under test."""
    options = {name: request.config.getoption(f"--{name}", default=None)
               for name in ("host-kind", "host", "host-python", "models")}
    missing = [f"--{name}" for name, value in options.items() if value is None]
    if missing:
        pytest.skip(f"no real WebUI was given ({', '.join(missing)})")
    flags = tuple(request.config.getoption("--host-flags").split())
    return Program(options["host-kind"], options["host"].absolute(), options["host-python"].absolute(),
                   options["models"].absolute(), flags)


@pytest.fixture(scope="session")
def home(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder of the host with our extension in it."""
    folder = tmp_path_factory.mktemp(program.kind)
    server.prepare(program, folder)
    return folder


@pytest.fixture(scope="session")
def host(program: Program, home: Path) -> Iterator[Server]:
    """The host with our extension, a checkpoint loaded."""
    with server.started(program, home) as running:
        running.draw("1girl", steps=1)
        yield running


@pytest.fixture(autouse=True)
def nothing_goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stops the training that a failed test has left running, so that the next one can begin."""
    yield
    if "host" in request.fixturenames:
        training.stop_any(request.getfixturevalue("host"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three captioned pictures of the demo's dataset."""
    folder = tmp_path_factory.mktemp("pictures")
    source = DEMO / "dataset" / "zunko" / "train" / "8_zunko"
    for file in sorted(source.iterdir())[:6]:
        shutil.copy(file, folder / file.name)
    return folder


@pytest.fixture
def page(host: Server) -> Iterator[HostPage]:
    """A new browser on the host's page."""
    from tests.browser.conftest import start_browser

    driver = start_browser()
    try:
        page = HostPage(driver, host)
        page.open()
        yield page
    finally:
        driver.quit()
