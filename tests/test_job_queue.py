"""Trainings in line: order, failures, pauses, and what is left of them when the program ends."""
from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.job_queue import Queue
from lib_trainer.jobs import Jobs
from lib_trainer.queue_file import FILE, Entry, QueueFile
from lib_trainer.training.resume import search
from tests.conftest import Settings


class Slow:
    """A trainer whose trainings last until the test lets them end."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, bool]] = []
        self.changed = threading.Condition()
        self.ends = threading.Semaphore(0)

    def wait_idle(self, timeout: float) -> bool:
        return True

    def train(self, settings: Mapping[str, Any], interrupted: bool) -> tuple[str, str]:
        with self.changed:
            self.begun.append((settings["name"], interrupted))
            self.changed.notify_all()
        self.ends.acquire()
        return ("failed", "no room") if settings["name"] == "bad" else ("done", settings["name"] + ".safetensors")

    def wait_begun(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) == number, 60)


def states(queue: QueueFile) -> list[tuple[str, str]]:
    return [(entry.name, entry.state) for entry in queue.entries()]


def filled(folder: Path, *names: str) -> tuple[Queue, Slow]:
    trainer = Slow()
    queue = Queue(folder, trainer)
    for name in names:
        queue.add({"name": name})
    return queue, trainer


def test_one_after_the_other_whatever_becomes_of_one(tmp_path: Path) -> None:
    queue, trainer = filled(tmp_path, "a", "bad", "c")
    thread = queue.start()
    trainer.wait_begun(1)
    assert queue.going and states(queue) == [("a", "running"), ("bad", "waiting"), ("c", "waiting")]
    queue.add({"name": "late"})
    trainer.ends.release(4)
    thread.join()
    assert not queue.going and trainer.begun == [("a", False), ("bad", False), ("c", False), ("late", False)]
    assert states(queue) == [("a", "done"), ("bad", "failed"), ("c", "done"), ("late", "done")]
    assert [entry.message for entry in queue.entries()][:2] == ["a.safetensors", "no room"]


def test_moving_and_removing(tmp_path: Path) -> None:
    queue, trainer = filled(tmp_path, "a", "b", "c", "d")
    queue.move(4, -2)
    queue.move(1, 1)
    assert [entry.name for entry in queue.entries()] == ["d", "a", "b", "c"]
    queue.move(1, -9)
    queue.move(4, 9)
    queue.remove(2)
    assert [entry.name for entry in queue.entries()] == ["a", "c", "d"]
    thread = queue.start()
    trainer.wait_begun(1)
    for change, arguments in ((queue.remove, [1]), (queue.move, [1, 1]), (queue.remove, [2]), (queue.move, [9, 1])):
        with pytest.raises(UserError):
            change(*arguments)  # type: ignore[operator]
    queue.move(3, 9)
    queue.pause()
    trainer.ends.release(4)
    thread.join()
    assert states(queue) == [("a", "done"), ("d", "waiting"), ("c", "waiting")]
    queue.remove(1)
    assert len(queue.entries()) == 2


def test_a_paused_queue_goes_on_while_its_last_training_runs(tmp_path: Path) -> None:
    queue, trainer = filled(tmp_path, "a", "b")
    thread = queue.start()
    trainer.wait_begun(1)
    queue.pause()
    assert not queue.going and states(queue) == [("a", "running"), ("b", "waiting")]
    assert queue.start() is thread and queue.going
    trainer.ends.release(2)
    thread.join()
    assert states(queue) == [("a", "done"), ("b", "done")] and not queue.going
    queue.add({"name": "c"})
    trainer.ends.release()
    again = queue.start()
    again.join()
    assert again is not thread and states(queue)[-1] == ("c", "done")


def test_the_same_name_waits_once(tmp_path: Path) -> None:
    queue, _ = filled(tmp_path, "a")
    with pytest.raises(UserError, match="'a' is in the queue already"):
        queue.add({"name": "a"})
    queue.add({"name": "a", "resume": "auto"})


def test_what_was_interrupted_goes_first_and_is_not_tried_for_ever(tmp_path: Path) -> None:
    """As after a kill: an entry is marked as running, and nobody runs the queue."""
    queue, _ = filled(tmp_path, "a", "b")
    written = json.loads((tmp_path / FILE).read_text())
    for tries, begun in ((1, [("a", True), ("b", False)]), (3, [("b", False)])):
        written["entries"][0].update(state="running", tries=tries)
        (tmp_path / FILE).write_text(json.dumps(written))
        again, trainer = filled(tmp_path)
        assert states(again)[0] == ("a", "waiting")
        trainer.ends.release(2)
        again.start().join()
        assert trainer.begun == begun
    assert again.entries()[0].state == "failed" and "3 times" in again.entries()[0].message
    assert queue.entries() == again.entries()


def test_one_process_runs_the_queue_and_others_may_change_it(tmp_path: Path) -> None:
    queue, trainer = filled(tmp_path, "a", "b")
    thread = queue.start()
    trainer.wait_begun(1)
    other = Queue(tmp_path, Slow())
    with pytest.raises(UserError, match="Another process runs this queue"):
        other.start()
    assert states(other)[0] == ("a", "running") and not other.going
    QueueFile(tmp_path).remove(2)
    trainer.ends.release(2)
    thread.join()
    assert states(other) == [("a", "done")]


def test_old_entries_leave_the_list(tmp_path: Path) -> None:
    queue, trainer = filled(tmp_path, *(f"n{number}" for number in range(25)))
    trainer.ends.release(25)
    queue.start().join()
    assert [entry.name for entry in queue.entries()] == [f"n{number}" for number in range(5, 25)]
    assert queue.add({"name": "next"}).number == 26


def test_no_number_is_given_twice(tmp_path: Path) -> None:
    """Not when the last one is removed, not by another process, not after a restart, not in a list that is empty."""
    queue, _ = filled(tmp_path, "a", "b")
    queue.remove(2)
    assert QueueFile(tmp_path).add({"name": "b again"}).number == 3
    for number in (1, 3):
        Queue(tmp_path, Slow()).remove(number)
    assert QueueFile(tmp_path).entries() == [] and QueueFile(tmp_path).add({"name": "c"}).number == 4


def test_a_file_of_an_older_version_goes_on_after_its_greatest_number(tmp_path: Path) -> None:
    filled(tmp_path, "a", "b", "c")[0].move(3, -2)
    found = json.loads((tmp_path / FILE).read_text())
    assert found.pop("next") == 4
    (tmp_path / FILE).write_text(json.dumps(found))
    assert QueueFile(tmp_path).add({"name": "d"}).number == 4


def test_a_damaged_file_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    queue, _ = filled(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        queue.entries()
    with pytest.raises(UserError, match="cannot be read"):
        queue.add({"name": "a"})
    assert (tmp_path / FILE).read_text() == "{"


def test_trainings_in_line(host: StandaloneHost, settings: Settings) -> None:
    """Real ones: the second is refused when its turn comes, the third is stopped; each leaves its outcome."""
    jobs = Jobs(host)
    for name in ("one", "two", "three"):
        jobs.enqueue(settings(name=name, steps=1 if name == "one" else 5000).to_dict())
    with pytest.raises(Problems):
        jobs.enqueue({**settings().to_dict(), "images": "", "rank": 0})
    assert all(entry.settings["base_model"].endswith("tiny.safetensors") for entry in jobs.queue.entries())
    (host.paths.loras / "two.safetensors").write_bytes(b"")
    thread = jobs.queue.start()
    while not (jobs.current and jobs.current.name == "three"):
        thread.join(0.05)
    jobs.current.controls.stop()
    thread.join()
    entries = jobs.queue.entries()
    assert [entry.state for entry in entries] == ["done", "failed", "stopped"]
    assert entries[0].message.endswith("one.safetensors") and "is taken" in entries[1].message
    assert [job.name for job in jobs.history] == ["one", "three"]


def test_an_interrupted_training_goes_on_where_it_was(host: StandaloneHost, settings: Settings) -> None:
    jobs = Jobs(host)
    config = settings(state_every_steps=1)
    job = jobs.start(config)
    job.controls.pause()  # so that the run waits for this thread, however slowly it gets on
    while not any(event["kind"] == "Paused" for event in job.events()):
        assert job.wait_events(len(job.events()), 60), "no pause"
    assert search.all_states(host.paths)
    job.controls.stop()
    job.wait()
    (host.paths.loras / "zko.safetensors").unlink()
    assert jobs.train(config.to_dict(), interrupted=True)[0] == "done"
    assert jobs.history[-1].events()[-1]["step"] == 6
    first = next(event for event in jobs.history[-1].events() if event["kind"] == "Started")
    assert first["step"] > 0
    # Done with, and tried again all the same: nothing is overwritten.
    assert jobs.train(config.to_dict(), interrupted=True)[0] == "failed"


def test_entries_are_told_without_their_settings() -> None:
    assert Entry(1, "a", {"rank": 4}).to_json() == {
        "number": 1, "name": "a", "state": "waiting", "message": "", "tries": 0}
