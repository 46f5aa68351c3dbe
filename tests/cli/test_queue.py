"""The command line's queue, `train --resume`, and logs for TensorBoard."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lib_trainer.cli import processes
from lib_trainer.cli.main import main
from lib_trainer.queue_file import QueueFile
from tests.conftest import Settings

Run = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path, checkpoint: Path) -> Run:
    """Runs a command on the tiny checkpoint; returns the exit code."""
    return lambda *arguments: main([*map(str, arguments), "--model", str(checkpoint)])


@pytest.fixture
def config(folder: Path, settings: Settings) -> Path:
    path = folder / "zko.json"
    settings(epochs=1, state_every_steps=1).dump(path)
    return path


def test_the_queue(run: Run, config: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("queue", "list") == 0
    assert "Nothing is in line" in capsys.readouterr().err
    for name in ("a", "b", "c"):
        assert run("queue", "add", config, "--set", f"name={name}", "--set", "steps=1") == 0
    assert run("queue", "add", config, "--set", "name=a") == 1
    assert "in the queue already" in capsys.readouterr().err
    assert run("queue", "add", config, "--set", "rank=0", "--set", "name=d") == 1
    assert run("queue", "move", 3, -2) == 0 and run("queue", "remove", 2) == 0
    capsys.readouterr()
    assert run("queue", "list", "--json") == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)["entries"]] == ["c", "a"]
    (folder / "loras" / "a.safetensors").write_bytes(b"")  # its turn comes to nothing
    assert run("queue", "run") == 1
    told = capsys.readouterr()
    assert "== c" in told.err and "failed" in told.err and "saved" in told.out
    entries = QueueFile(folder / "outputs" / "settings").entries()
    assert [(entry.name, entry.state) for entry in entries] == [("c", "done"), ("a", "failed")]
    assert run("queue", "run") == 0  # nothing waits, nothing fails


def test_train_resume(run: Run, config: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", config, "--resume", "--set", "state_at_end=true", "--json") == 0
    assert "no run of 'zko'" in capsys.readouterr().out
    assert run("train", config, "--resume", "zko-state-00000003", "--set", "epochs=2", "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["step"] for event in events if event["kind"] == "Stepped"] == [4, 5, 6]
    assert run("train", config, "--resume", "none") == 1
    assert "there is no such state" in capsys.readouterr().err


def test_logs(run: Run, config: Path, folder: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    assert run("train", config, "--set", "log_with=tensorboard", "--set", "log_folder=logs", "--set", "epochs=2",
               "--set", "log_prefix=mine-", "--set", "scale_weight_norms=1", "--set", "log_tracker=zko run") == 0
    (file,) = folder.glob("logs/mine-*/zko run/events*")
    scalars: dict[str, list[tuple[int, float]]] = {}
    for record in records(file.read_bytes()):
        event = Event.FromString(record)
        for value in event.summary.value:
            scalars.setdefault(value.tag, []).append((event.step, value.simple_value))
    assert {"loss/current", "loss/average", "loss/epoch_average", "lr/unet", "lr/text_encoder",
            "max_norm/keys_scaled", "max_norm/max_key_norm", "norm/avg_key_norm"} <= scalars.keys()
    assert [step for step, _ in scalars["loss/current"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in scalars["loss/epoch_average"]] == [1, 2]
    first = sum(loss for _, loss in scalars["loss/current"][:3]) / 3
    assert scalars["loss/epoch_average"][0][1] == pytest.approx(first)  # float32 in the file


def records(content: bytes) -> list[bytes]:
    """Takes a TensorBoard file apart: length (8 bytes), its checksum (4), the record, its checksum (4)."""
    found, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at:at + 8], "little")
        found.append(content[at + 12:at + 12 + length])
        at += 16 + length
    return found


def test_a_tracker_that_is_missing_is_told(
    run: Run, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accelerate.utils.is_tensorboard_available", lambda: False)
    assert run("train", config, "--set", "log_with=tensorboard", "--set", "steps=1") == 0
    assert "pip install tensorboard" in capsys.readouterr().err


def test_one_process_is_not_launched_with_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not processes.launched()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert processes.launched()


def test_a_page_says_that_it_writes_no_logs(host: object, settings: Settings) -> None:
    from lib_trainer.jobs import Jobs

    job = Jobs(host).start(settings(steps=1, log_with="tensorboard"))  # type: ignore[arg-type]
    assert job.wait(600)
    assert any("command line only" in event.get("message", "") for event in job.events())
