"""One training in two processes, joined by accelerate: the same losses as in one, one voice, and an end for all."""
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.resume import state_folder
from tests.conftest import Settings
from tests.training.runs import train

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="processes are joined by gloo")]

ENDED = 120
"""Seconds after which a program that should have ended is given up; it takes some two."""


class Launched:
    """A training that `accelerate launch` has started in two processes."""

    def __init__(self, folder: Path, checkpoint: Path, config: TrainConfig, *options: str) -> None:
        self.folder = folder
        settings = folder / "settings.json"
        config.dump(settings)
        # On a machine without GPUs this is how accelerate starts several processes that meet over gloo.
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
                  "--main_process_port", str(free_port()), "-m", "lib_trainer"]
        train = ["train", str(settings), "--model", str(checkpoint), "--models-dir", str(checkpoint.parent),
                 "--loras-dir", str(folder / "loras"), "--outputs-dir", str(folder / "outputs"), *options]
        self.process = subprocess.Popen(
            [*launch, *train], stdout=subprocess.PIPE, stderr=(folder / "errors.txt").open("w"), text=True,
            start_new_session=True)

    def events(self) -> Iterator[dict[str, Any]]:
        """What the program prints with --json, line by line, until it ends."""
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                yield json.loads(line)

    def workers(self) -> list[psutil.Process]:
        """The processes that train."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in found if "train" in child.cmdline() and "launch" not in " ".join(child.cmdline())]

    @property
    def errors(self) -> str:
        return (self.folder / "errors.txt").read_text()

    def loras(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "loras").iterdir())


def free_port() -> int:
    """Returns a port that nobody listens on now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


def losses(events: Sequence[Any]) -> list[float]:
    return [event["loss"] for event in events if event["kind"] == "Stepped"]


def test_two_processes_train_like_one(
    host: StandaloneHost, settings: Settings, checkpoint: Path, tmp_path: Path
) -> None:
    """Three pictures in batches of two, so that the last batch leaves a process without one; caches are shared out.

    Kernels for one picture and for two round differently, and so does a sum of two processes' gradients: losses differ
    in the last bits of float32, what was learned by plain SGD by 2e-3 (both grow over hundreds of layers). A sample of
    the wrong weight would change the losses by 1e-2 and what was learned by 1e-1.
    """
    changes = {
        "batch_size": 2, "optimizer": "SGDNesterov", "learning_rate": "1e-2", "save_precision": "float",
        "cache_to_disk": True, "flip": True, "save_every_epochs": 1, "state_every_epochs": 1, "log_with": "tensorboard",
        "preview_prompts": "zko", "preview_every_epochs": 1, "preview_steps": 1,
    }
    whole = [event.to_json() for event in train(settings(**changes), host)]
    both = Launched(tmp_path, checkpoint, settings(**changes), "--json")
    told = list(both.events())
    assert both.process.wait(ENDED) == 0, both.errors
    assert losses(told) == pytest.approx(losses(whole), rel=1e-5)
    assert [event["timestep"] for event in told if event["kind"] == "Stepped"] == [
        event["timestep"] for event in whole if event["kind"] == "Stepped"]
    kinds = [event["kind"] for event in told if event["kind"] not in ("Cached", "Warned", "LossBands")]
    assert kinds == [event["kind"] for event in whole if event["kind"] not in ("Cached", "Warned", "LossBands")]
    assert both.loras() == ["zko-000001.safetensors", "zko.json", "zko.png", "zko.safetensors"]
    jobs = list((tmp_path / "outputs" / "train-lora").iterdir())
    assert [job.name for job in jobs] == ["zko"]
    state = state_folder.read(next(jobs[0].glob("*-state-*")))
    assert state.facts["versions"]["processes"] == "2"
    ours = file.load(tmp_path / "loras" / "zko.safetensors").tensors
    theirs = file.load(host.paths.loras / "zko.safetensors").tensors
    up = [name for name in ours if "lora_up" in name]
    difference = torch.stack([torch.linalg.vector_norm(ours[name] - theirs[name]) for name in up]).norm()
    assert difference < 1e-2 * torch.stack([torch.linalg.vector_norm(theirs[name]) for name in up]).norm()
    assert [path.name for path in jobs[0].glob("logs/*/network_train/events*")]


def test_ctrl_c_stops_both_with_a_file(checkpoint: Path, settings: Settings, tmp_path: Path) -> None:
    both = Launched(tmp_path, checkpoint, settings(steps=100_000), "--json")
    told = []
    for event in both.events():
        told.append(event)
        if event["kind"] == "Stepped" and event["step"] == 2:
            os.killpg(both.process.pid, signal.SIGINT)
    both.process.wait(ENDED)
    assert told[-1]["kind"] == "Finished" and told[-1]["stopped"], both.errors
    assert "zko.safetensors" in both.loras()
    assert not [child for child in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(child.info["cmdline"])]


def test_the_death_of_one_ends_the_other(checkpoint: Path, settings: Settings, tmp_path: Path) -> None:
    both = Launched(tmp_path, checkpoint, settings(steps=100_000), "--json")
    for event in both.events():
        if event["kind"] == "Stepped" and event["step"] == 2:
            max(both.workers(), key=lambda worker: int(worker.environ()["RANK"])).kill()
    assert both.process.wait(ENDED) != 0
    assert not [child for child in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(child.info["cmdline"])]
