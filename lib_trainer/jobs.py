"""The one place where trainings start: one at a time, by hand or as the queue's turn comes.

A training that is to be started while another one runs is refused, so a process trains with its model once at most.
Operations of the workbench, which need no model, run beside it.
"""
from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.job import Job
from lib_trainer.job_queue import Queue
from lib_trainer.queue_file import DONE, FAILED, STOPPED, WAITING, Entry
from lib_trainer.training.resume.words import AUTO

if TYPE_CHECKING:
    from lib_trainer.data.caches.cache_folder import CacheSize
    from lib_trainer.training.checks.findings import Findings
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.world import World
    from lib_trainer.workbench.desk import Desk

_NO_LOGS = ("Logs for TensorBoard are written by the command line only (python -m lib_trainer train ...): here the "
            "chart shows the numbers, and events.jsonl in the job's folder holds them.")


class Busy(UserError):
    """A training was to be started while another one runs."""


class Jobs:
    """The trainings of this process: the running one, those before it, and the queue.

    Attributes:
        queue: trainings that wait for their turn.
    """

    def __init__(self, host: Host, world: World | None = None, logs: bool = False) -> None:
        """Starts with nothing to train.

        Args:
            host: what has the model.
            world: the processes that train together, None = this one alone.
            logs: whether somebody reads the events who writes logs of them; else a run that wants logs is told so.
        """
        self._host, self._world, self._logs = host, world, logs
        self.queue = Queue(host.paths.settings, self)
        self._desk: Desk | None = None
        self._lock = threading.Lock()
        self._history: list[Job] = []

    @property
    def workbench(self) -> Desk:
        """Operations on LoRA files, which need no model and run beside a training; made when first asked for."""
        from lib_trainer.workbench.desk import Desk

        with self._lock:
            if self._desk is None:
                self._desk = Desk(self._host, lambda: self.current is not None and self.current.running)
            return self._desk

    @property
    def current(self) -> Job | None:
        """The running job, or the last one; None before the first."""
        with self._lock:
            return self._last

    @property
    def history(self) -> tuple[Job, ...]:
        """The jobs of this process, the first one first; the last one may be running."""
        with self._lock:
            return tuple(self._history)

    def running(self) -> Job:
        """Returns the running job.

        Raises:
            UserError: none is running.
        """
        current = self.current
        if current is None or not current.running:
            raise UserError("No training is running, so there is nothing to stop, pause or save: press Start first.")
        return current

    def start(self, config: TrainConfig, findings: Findings | None = None) -> Job:
        """Starts a training.

        Args:
            config: the settings.
            findings: of `check.settle` for these settings, where the caller has them already: a big data set takes
                seconds to look through.

        Raises:
            Busy: another training runs. Problems: the settings cannot be trained with, all faults together.
        """
        from lib_trainer.training import check

        self._refuse_second()
        findings = findings or check.check(config, self._host)
        if config.log_with and not self._logs:
            findings.warnings.append(_NO_LOGS)
        with self._lock:
            self._refuse_second_locked()
            job = Job(len(self._history) + 1, config, self._host, findings, self._world)
            self._history.append(job)
            job.begin()
        return job

    def enqueue(self, settings: Mapping[str, Any]) -> Entry:
        """Puts a training at the end of the queue; without a base checkpoint it takes the one that is loaded now.

        Raises:
            Problems: the settings cannot be trained with. UserError: a training of this name waits already.
        """
        from lib_trainer.training import check

        config = check.read(settings, self._host)
        values = config.to_dict()
        loaded = self._host.checkpoint().path
        return self.queue.add({**values, "base_model": values["base_model"] or str(loaded or "")})

    def wait_idle(self, timeout: float) -> bool:
        """Waits until no training runs, `timeout` seconds at most; returns whether none does."""
        current = self.current
        return current is None or current.wait(timeout)

    def train(self, settings: Mapping[str, Any], interrupted: bool) -> tuple[str, str]:
        """Trains to the end, for the queue.

        Args:
            settings: as they were added.
            interrupted: whether the program ended while this was trained, so that it goes on where it was.

        Returns:
            State and message of the queue's entry.
        """
        from lib_trainer.training import check

        try:
            again = {"resume": AUTO} if interrupted and self._has_broken_off(str(settings["name"])) else {}
            job = self.start(*check.settle({**settings, **again}, self._host))
        except Busy:
            return WAITING, ""
        except UserError as error:
            return FAILED, str(error)
        job.wait()
        # A warning may come after it, such as that of a log that cannot be written.
        last = next(event for event in reversed(job.events()) if event["kind"] in ("Finished", "Failed"))
        if last["kind"] == "Failed":
            return FAILED, last["message"]
        return (STOPPED if last["stopped"] else DONE), last["file"]

    def clear_caches(self, kind: str = "all") -> dict[str, CacheSize]:
        """Empties the caches on the disk; returns what was removed, see `caching.clear`.

        Raises:
            UserError: a training may use them, there is no such kind, or a file cannot be removed.
        """
        from lib_trainer.training import caching

        current = self.current
        if current is not None and current.running:
            raise UserError(f"'{current.name}' is being trained and may use the caches: wait for its end.")
        return caching.clear(self._host.paths, kind)

    def _has_broken_off(self, name: str) -> bool:
        """Whether the newest run of a name has begun and not come to its end."""
        from lib_trainer.training.resume import search

        found = search.find(AUTO, name, self._host.paths)
        return found is not None and found.record is not None and not found.record.finished

    @property
    def _last(self) -> Job | None:
        return self._history[-1] if self._history else None

    def _refuse_second(self) -> None:
        with self._lock:
            self._refuse_second_locked()

    def _refuse_second_locked(self) -> None:
        last = self._last
        if last is not None and last.running:
            raise Busy(f"'{last.name}' is being trained: wait for its end or stop it, then press Start again.")
