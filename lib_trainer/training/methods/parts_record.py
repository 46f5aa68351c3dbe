"""What is known on the disk of a training of several parts: which are through, what they have left, what runs inside.

The job's `run.json` is the record of the whole; every training part has a folder inside the job's with a `run.json` and
states of its own. A part counts as done when the whole's record says so; the record is written whole or not at all.
"""
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lib_trainer.errors import Problems, UserError
from lib_trainer.training.checks import resume
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import Event
from lib_trainer.training.outputs import saving
from lib_trainer.training.resume import agreement, run_record, search, state_folder
from lib_trainer.training.resume.run_record import RunRecord


@dataclass(frozen=True)
class Done:
    """What a finished part has left: a file ("" = none), the updates that it took, numbers ready for JSON."""

    file: str
    steps: int
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PartsRecord:
    """The record of one training.

    Attributes:
        folder: of the whole training. whole: its record.
        is_main: whether this process writes.
    """

    folder: Path
    whole: RunRecord
    is_main: bool = True

    def begin(self, parts: int) -> None:
        """Notes how many parts there are.

        Raises:
            UserError: the record cannot be written.
        """
        self.whole.phases = parts
        self._write()

    def done(self, key: str) -> Done | None:
        """Returns what a part has left; None = it is not through."""
        found = self.whole.done.get(key)
        return Done(found["file"], int(found["steps"]), dict(found["facts"])) if found else None

    def file(self, key: str) -> Path:
        """Returns the file that a finished part has written.

        Raises:
            UserError: it is gone, or there is another one in its place.
        """
        path = Path(self.whole.done[key]["file"])
        inner = run_record.read(self.folder / key)
        if not path.is_file() or (inner is not None and not inner.is_own(path)):
            raise UserError(f"The file {str(path)!r}, which a part of this training has written, is "
                            f"{'another one now' if path.is_file() else 'gone'}: put it back, or begin anew (empty "
                            "resume).")
        return path

    def add(self, key: str, done: Done, findings: Findings | None = None) -> Done:
        """Notes that a part is through; returns what it has left.

        Args:
            key: of the part. done: what it has left.
            findings: pictures and checkpoint that it was trained on, None = it was no training.

        Raises:
            UserError: the record cannot be written.
        """
        self.whole.done[key] = {**asdict(done), **({"learned": _learned(findings)} if findings else {})}
        self._write()
        return done

    def check_same(self, now: Mapping[str, Findings]) -> None:
        """Checks that parts that are through were trained on the pictures and the checkpoint that are there now.

        Args:
            now: pictures and checkpoint by the part's key.

        Raises:
            Problems: they were not.
        """
        faults: list[str] = []
        for key, findings in now.items():
            if key in self.whole.done:
                before, present = self.whole.done[key]["learned"], _learned(findings)
                faults += agreement.data_differences(before["pictures"], present["pictures"])
                faults += filter(None, [agreement.base_difference(before["base"], present["base"])])
        if faults:
            raise Problems(f"resume: {sentence.rstrip('.')}. Put it back as it was, or begin anew."
                           for sentence in dict.fromkeys(faults))

    def findings_of(self, key: str, config: TrainConfig, findings: Findings) -> Findings:
        """Returns the findings with which a part's run begins or goes on in its own folder.

        Raises:
            Problems: its settings are not those it was begun with.
        """
        folder = self.folder / key
        inner = replace(findings, folder=folder, found=None, warnings=[], faults=[], changes=[])
        if run_record.read(folder) is None:
            return inner
        inner.found = found = search.of_job(folder)
        if found.record is not None and found.state is not None and found.record.finished:
            # It was killed between its end and the whole's record: the last state writes the same file once more.
            found.record.finished = False
        if found.state is not None:
            resume.settings(config, found.state.config, f"step {found.state.step + 1}", inner)
        if inner.faults:
            raise Problems(inner.faults)
        return inner

    def discard(self) -> Iterator[Event]:
        """Throws away what the parts have written: files that are still as they wrote them."""
        for owner in (self.whole, *self._inner()):
            for path in list(map(Path, owner.files)):
                yield from saving.throw_away(owner, path)
        self.whole.done.clear()  # who goes on with it all the same must begin with the first part
        self.close()

    def close(self) -> None:
        """Notes that the training has come to its end; states inside it are of no more use."""
        if not self.is_main:
            return
        self.whole.close(self.folder)
        for path in self.folder.glob(f"*/{run_record.NAME}"):
            for state in search.states(path.parent):
                with contextlib.suppress(UserError, OSError):
                    state_folder.remove(state_folder.read(state))

    def _inner(self) -> list[RunRecord]:
        found = (run_record.read(path.parent) for path in sorted(self.folder.glob(f"*/{run_record.NAME}")))
        return [one for one in found if one is not None]

    def _write(self) -> None:
        if self.is_main:
            self.whole.write(self.folder)


def _learned(findings: Findings) -> dict[str, Any]:
    """Returns what a part was trained on, ready for JSON."""
    base = agreement.base_facts(findings.checkpoint) if findings.checkpoint else {}
    return {"pictures": agreement.pictures(findings.items), "base": base}
