"""The real page in a real browser: a served page as a process of its own, and headless Chromium.

A browser that cannot be started is a failure, not a skip: what is promised about the page is only seen here.
"""
from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from lib_trainer.bootstrap import DEMO_CHECKPOINT
from tests import tiny_checkpoint
from tests.browser.page import PATIENCE, Page

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 240
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Site:
    """A served page: its address and its folder of LoRAs, outputs and pictures."""

    url: str
    folder: Path

    def ask(self, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Asks a route of the API as a program would, with a JSON body if there is one."""
        request = urllib.request.Request(
            f"{self.url}lora-trainer/v1/{route}", None if body is None else json.dumps(body).encode("utf8"),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def forget(self) -> None:
        """Forgets what tests before have typed and kept, so that each begins alike whichever ran before it."""
        settings = self.folder / "outputs" / "settings"
        for path in (settings / "train" / "last.json", settings / "lbwpresets.txt"):
            path.unlink(missing_ok=True)

    def rest(self) -> None:
        """Ends a training that a test has left behind: the next one would be refused its own."""
        if self.ask("status")["running"]:
            self.ask("stop", {"save": False})
            end = time.monotonic() + PATIENCE
            while self.ask("status")["running"]:
                assert time.monotonic() < end, "the training that was left behind ends when it is stopped"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page as `python -m lib_trainer serve` opens it, with the demo checkpoint where it ships."""
    folder = tmp_path_factory.mktemp("site")
    model = DEMO_CHECKPOINT if DEMO_CHECKPOINT.exists() else tiny_checkpoint.write(folder / "models")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "lib_trainer", "serve", "--model", str(model), "--port", str(port),
               "--models-dir", str(folder / "models"), "--loras-dir", str(folder / "loras"),
               "--outputs-dir", str(folder / "outputs")]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"})
    try:
        yield Site(_address(process), folder)
        if sys.platform != "win32":
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, "Ctrl+C closes the page without a complaint"
    finally:
        process.kill()
        process.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    driver = start_browser()
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(site: Site, browser: webdriver.Chrome) -> Iterator[Page]:
    """The page, freshly opened, as it is for somebody who has not used it yet."""
    browser.get("about:blank")  # the page of the test before would go on to remember its form
    site.forget()
    page = Page(browser, site.url)
    page.complaints()  # of the test before
    page.open()
    yield page
    site.rest()


def start_browser() -> webdriver.Chrome:
    """Starts headless Chromium at 1280 pixels.

    Pages that were left are not kept for the Back button: they keep their connections, of which six go to one server,
    and every fifth page would wait most of a minute for one.
    """
    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1280,1200", "--hide-scrollbars", "--lang=en-US",
                     "--disable-features=BackForwardCache"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.fail("No Chromium with chromedriver is installed; on Debian: apt-get install chromium chromium-driver")
    options.binary_location = binary
    try:
        return webdriver.Chrome(options, Service(driver))
    except WebDriverException as error:
        pytest.fail(f"{binary} cannot be started: {error}")


def _address(process: subprocess.Popen[str]) -> str:
    """Reads the page's address from what the process prints; what it prints later is read away."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    said, end = "", time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            line = lines.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        said += line
        if "http://" in line:
            return line[line.index("http://"):].split()[0] + "/"
        if not line:
            break
    process.kill()
    pytest.fail(f"The page did not open within {START_SECONDS} s. It said:\n{said}")
