"""One training: a thread, its controls and its numbered events.

The page, the API and the command line read the same events by number, so a page that is reloaded or opened twice misses
nothing. The events also go, one JSON object a line, to `events.jsonl` in the job's folder. This module holds the job
boundary: whatever goes wrong inside a run ends here as a `Failed` event.
"""
from __future__ import annotations

import json
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training.controls import Controls

if TYPE_CHECKING:
    from lib_trainer.training.checks.findings import Findings
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.events import Event
    from lib_trainer.training.world import World

LOG_NAME = "events.jsonl"


class Job:
    """A training run, running or ended.

    Attributes:
        number: 1 for the first job of this process.
        name: name of the LoRA.
        config: the settings of the run.
        controls: its buttons.
    """

    def __init__(
        self, number: int, config: TrainConfig, host: Host, findings: Findings, world: World | None = None,
    ) -> None:
        self.number = number
        self.name = config.name
        self.config = config
        self.controls = Controls()
        self._lines: list[str] = []  # as JSON: a third of the memory of dicts, and a run may have 100,000 of them
        self._changed = threading.Condition()
        self._running = True
        self._folder: Path | None = None
        self._log_folder: Path | None = None
        self._logged = 0
        self._logging = world is None or world.is_main
        self._thread = threading.Thread(
            target=self._run, args=(host, findings, world), name=f"training {self.name}", daemon=True
        )

    @property
    def running(self) -> bool:
        """Whether the run has not ended; its last event is there once this is False."""
        with self._changed:
            return self._running

    @property
    def folder(self) -> Path | None:
        """The folder with previews, config and losses of the run, of several the present one; None until it began."""
        with self._changed:
            return self._folder

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Returns the events numbered above `after`: `number` (from 1), `time` (seconds since 1970), `kind`, fields."""
        with self._changed:
            lines = self._lines[max(0, after):]
        return [json.loads(line) for line in lines]

    def wait_events(self, after: int, timeout: float) -> list[dict[str, Any]]:
        """Like `events`, but waits for one, at most `timeout` seconds and not beyond the job's end."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._lines) > after or not self._running, timeout)
        return self.events(after)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the end of the run; returns whether it has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout)

    def begin(self) -> None:
        """Starts the run; once."""
        self._thread.start()

    def _run(self, host: Host, findings: Findings, world: World | None) -> None:
        """The job boundary: no error of a run goes further than this."""
        from lib_trainer.training import recipe
        from lib_trainer.training.events import Failed
        from lib_trainer.training.world import ALONE

        try:
            for event in recipe.run(self.config, host, self.controls, findings, world or ALONE):
                self._add(event)
        except UserError as error:
            self._add(Failed(str(error), user=True))
        except Exception as error:  # the job boundary: a bug of a run must reach the person and leave the program alive
            self._add(Failed(f"{type(error).__name__}: {error}", user=False, traceback=traceback.format_exc()))
        finally:
            with self._changed:
                self._running = False
                self._changed.notify_all()

    def _add(self, event: Event) -> None:
        """Numbers an event, shows it to all who wait, writes it to the log."""
        from lib_trainer.training.events import PhaseStarted, Started

        with self._changed:
            numbered = {"number": len(self._lines) + 1, "time": time.time(), **event.to_json()}
            self._lines.append(json.dumps(numbered, ensure_ascii=False))
            if isinstance(event, Started):
                self._folder = Path(event.folder)
            if isinstance(event, (Started, PhaseStarted)):
                self._log_folder = self._log_folder or Path(event.folder)
            self._changed.notify_all()
        self._log()

    def _log(self) -> None:
        """Appends what is not yet in the log; a full disk ends the log, never the training."""
        if self._log_folder is None or not self._logging:
            return
        log = self._log_folder / LOG_NAME
        fresh = self._lines[self._logged:]
        try:
            with log.open("a", encoding="utf8") as file:
                file.writelines(line + "\n" for line in fresh)
            self._logged += len(fresh)
        except OSError as error:
            from lib_trainer.training.events import Warned

            self._logging = False
            self._add(Warned(f"The log {log} cannot be written ({error.strerror}); the training goes on without it."))
