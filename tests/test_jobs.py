"""Jobs: one at a time, numbered events for every reader, a log, and an end whatever happens."""
from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import pytest
import torch

from lib_trainer.data.scanning.scan import scan
from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.job import LOG_NAME
from lib_trainer.jobs import Jobs
from lib_trainer.training import events as ev
from lib_trainer.training.checks import pictures
from tests.conftest import Settings


def test_events_are_numbered_and_logged(host: StandaloneHost, settings: Settings) -> None:
    jobs = Jobs(host)
    assert jobs.current is None
    job = jobs.start(settings())
    assert jobs.current is job and job.name == "zko"
    assert job.wait(600)
    events = job.events()
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["kind"] == "Finished" and not job.running
    assert job.events(after=3) == events[3:] and job.events(after=len(events)) == []
    assert job.wait_events(len(events), timeout=600) == []  # the end of a job ends the waiting
    times = [event["time"] for event in events]
    assert times == sorted(times)
    assert job.folder == host.paths.outputs / "train-lora" / "zko"
    lines = (job.folder / LOG_NAME).read_text(encoding="utf8").splitlines()
    assert [json.loads(line) for line in lines] == events


def test_no_event_has_a_field_that_its_number_and_time_are_told_by() -> None:
    """Such a field would stand in the place of the event's own number, and readers would ask for old events again."""
    kinds = [kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, ev.Event)]
    assert len(kinds) > 10
    for kind in kinds:
        assert not {"number", "time", "kind"} & {field.name for field in dataclasses.fields(kind)}, kind.__name__


def test_the_folders_are_read_once_per_start(
    host: StandaloneHost, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(pictures, "scan", lambda *args, **named: read.append(args) or scan(*args, **named))
    job = Jobs(host).start(settings(steps=1))
    assert job.wait(600) and job.events()[-1]["kind"] == "Finished"
    assert len(read) == 1


def test_every_reader_sees_everything(host: StandaloneHost, settings: Settings) -> None:
    job = Jobs(host).start(settings())
    seen: list[list[int]] = [[], []]

    def read(numbers: list[int]) -> None:
        while job.running or job.events(len(numbers)):
            numbers += [event["number"] for event in job.wait_events(len(numbers), timeout=60)]

    readers = [threading.Thread(target=read, args=(numbers,)) for numbers in seen]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert seen[0] == seen[1] == [event["number"] for event in job.events()]


def test_a_second_start_says_so(host: StandaloneHost, settings: Settings) -> None:
    jobs = Jobs(host)
    job = jobs.start(settings())
    job.controls.pause()
    with pytest.raises(UserError, match="'zko' is being trained"):
        jobs.start(settings(name="other"))
    job.controls.stop(save=False)
    assert job.wait(600)
    second = jobs.start(settings(name="other", steps=1))
    assert second.number == 2 and jobs.current is second
    assert second.wait(600) and second.events()[-1]["kind"] == "Finished"


def test_faults_start_no_job(host: StandaloneHost, settings: Settings) -> None:
    jobs = Jobs(host)
    with pytest.raises(Problems):
        jobs.start(settings(images="", continue_from="none"))
    assert jobs.current is None


def test_a_mistake_ends_as_a_sentence(host: StandaloneHost, settings: Settings, pictures: Path) -> None:
    for path in pictures.glob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    job = Jobs(host).start(settings())
    assert job.wait(600)
    last = job.events()[-1]
    assert (last["kind"], last["user"], last["traceback"]) == ("Failed", True, "")
    assert ".png" in last["message"]


def test_a_bug_ends_with_its_traceback_and_the_next_job_starts(host: StandaloneHost, settings: Settings) -> None:
    def fail(module: torch.nn.Module, args: object) -> None:
        raise ZeroDivisionError("a bug")

    with host.borrow_model() as lease, lease.turn() as model:
        module = model.targets()[-1].module
    handle = module.register_forward_pre_hook(fail)
    jobs = Jobs(host)
    job = jobs.start(settings())
    assert job.wait(600)
    last = job.events()[-1]
    assert (last["kind"], last["user"], last["message"]) == ("Failed", False, "ZeroDivisionError: a bug")
    assert "in fail" in last["traceback"]
    handle.remove()
    second = jobs.start(settings(steps=1))
    assert second.wait(600) and second.events()[-1]["kind"] == "Finished"


def test_a_log_that_cannot_be_written_does_not_end_the_run(host: StandaloneHost, settings: Settings) -> None:
    job = Jobs(host).start(settings())
    while job.folder is None:
        job.wait_events(len(job.events()), timeout=60)
    log = job.folder / LOG_NAME
    job.controls.pause()
    while not any(event["kind"] == "Paused" for event in job.events()):
        job.wait_events(len(job.events()), timeout=60)
    log.rename(job.folder / "moved.jsonl")
    log.mkdir()
    job.controls.resume()
    assert job.wait(600)
    assert job.events()[-1]["kind"] == "Finished"
    assert sum("log" in event.get("message", "") for event in job.events() if event["kind"] == "Warned") == 1
