"""Several runs as one training: parts that train or work on files, one after the other, with one record on the disk.

A method gives the list of its parts. Each training part is an ordinary run (`one_run.on`) with its own settings and its
own folder inside the job's, so its states are as exact as those of any run; neighbours that want the same checkpoint
train on one lease, so that nothing is loaded twice. A part that works on files is an operation of the workbench: closed
in the middle, it leaves nothing behind. `run.json` of the whole says which parts are through (`parts_record`): after a
stop, a failure or a kill the training goes on inside the part that was running.
"""
from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib_trainer.host import Host
from lib_trainer.training import one_run
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import (
    BrokenOff,
    Continued,
    Event,
    Finished,
    Paused,
    PhaseStarted,
    Saved,
    Warned,
    WorkDone,
)
from lib_trainer.training.methods import operation_events, parts_room
from lib_trainer.training.methods.lending import Lending
from lib_trainer.training.methods.parts import Part, Parts, Shows, Trains, Works
from lib_trainer.training.methods.parts_record import Done, PartsRecord
from lib_trainer.training.outputs import job_folder, record
from lib_trainer.training.resume import run_record
from lib_trainer.training.strengths import drawing
from lib_trainer.training.strengths.events import StrengthsSheet
from lib_trainer.training.world import World
from lib_trainer.workbench.operation import Outcome


def run(
    config: TrainConfig, host: Host, controls: Controls, findings: Findings, world: World, parts: Parts
) -> Iterator[Event]:
    """Trains part by part; tells one `Finished`, that of the last part's file.

    Args:
        config: the settings of the whole: name, output folder.
        host, controls, findings, world: as `one_run.run`; what can be checked of the parts, the method has checked.
        parts: makes the parts.

    Raises:
        Problems: the parts cannot be trained; told before the first one begins. UserError: one of them failed.
    """
    began = time.monotonic()
    with Lending(host) as lending:
        training = _Training(config, host, controls, findings, world, lending)
        yield from training.once(one_run.told(findings.warnings))
        planned = parts(job_folder.place(config, host, findings))
        enough = yield from parts_room.check(planned, host, controls, findings, lending)
        if not enough:
            yield training.ended(began, "", stopped=True)
            return
        folder, written = job_folder.prepare(config, host, findings, world)
        with run_record.held(folder) if world.is_main else nullcontext():
            yield from training.course(PartsRecord(folder, written, world.is_main), parts(folder), began)


@dataclass
class _Training:
    """One training of several parts, as it goes.

    Attributes:
        config, host, controls, findings, world: of the whole.
        lending: the model that its parts train on.
        told: warnings that were told.
        steps: updates done in all parts.
    """

    config: TrainConfig
    host: Host
    controls: Controls
    findings: Findings
    world: World
    lending: Lending
    told: set[str] = field(default_factory=set)
    steps: int = 0

    def course(self, parts_record: PartsRecord, parts: Sequence[Part], began: float) -> Iterator[Event]:
        """Goes through the parts that are not done yet."""
        parts_record.begin(len(parts))
        parts_record.check_same({part.key: part.findings for part in parts if isinstance(part, Trains)})
        makes = [part for part in parts if not isinstance(part, Shows)]
        result = ""
        for number, part in enumerate(parts, 1):
            done = parts_record.done(part.key)
            if done is None:
                titles = tuple(one.title for one in parts)
                yield PhaseStarted(number, len(parts), part.title, str(parts_record.folder), titles)
                yield from self._pause()
                done = yield from self._do(part, parts_record, part is makes[-1])
            if done is None:
                yield from self._broken_off(parts_record, part, (number, len(parts)), began, result)
                return
            self.steps += done.steps
            result = done.file or result
        parts_record.close()
        last = makes[-1]
        yield self.ended(began, result, is_lora=isinstance(last, Trains) or last.is_lora)

    def once(self, events: Iterator[Event]) -> Iterator[Event]:
        """Passes events on, every warning once."""
        for event in events:
            if isinstance(event, Warned):
                if event.message in self.told:
                    continue
                self.told.add(event.message)
            yield event

    def _pause(self) -> Iterator[Event]:
        """Waits between two parts while the person wants it."""
        if not self.controls.paused:
            return
        yield Paused(self.steps, "Paused. Press Continue to go on.")
        while self.controls.paused:
            self.controls.wait(1.0)
            self.controls.agree()
        yield Continued(self.steps)

    def _do(self, part: Part, parts_record: PartsRecord, is_last: bool) -> Generator[Event, None, Done | None]:
        """Does one part; returns what it has left, None when the person stopped it."""
        if self.controls.stopping:
            return None
        if isinstance(part, Works):
            return (yield from self._work(part, parts_record, is_last))
        if isinstance(part, Shows):
            return (yield from self._show(part, parts_record))
        return (yield from self._train(part, parts_record, is_last))

    def _train(self, part: Trains, parts_record: PartsRecord, is_last: bool) -> Generator[Event, None, Done | None]:
        inner = parts_record.findings_of(part.key, part.config, part.findings)
        lease = self.lending.lease(part.config, inner)
        end: Finished | None = None
        judge = part.judge() if part.judge else None
        events = one_run.on(
            lease, part.config, self.host, self.controls, inner, self.world, judge, is_result=is_last)
        for event in self.once(events):
            if isinstance(event, Finished):
                end = event
            else:
                yield replace(event, final=is_last) if isinstance(event, Saved) and event.final else event
        if end is None or end.stopped or not end.file:
            self.steps += end.step if end else 0
            return None
        return parts_record.add(part.key, Done(end.file, end.step), part.findings)

    def _work(self, part: Works, parts_record: PartsRecord, is_last: bool) -> Generator[Event, None, Done | None]:
        """Works in one process; the others wait for it."""
        outcome: Outcome | None = None
        if self.world.is_main:
            outcome = yield from operation_events.of(part.work(parts_record), self.controls)
        outcome = self.world.gather(outcome)[0]
        if outcome is None:
            return None
        file = str(outcome.file or "")
        done = parts_record.add(part.key, Done(file, 0, outcome.facts))
        yield WorkDone(file, outcome.facts, outcome.rows, outcome.notes)
        if outcome.file and not part.is_lora:
            self.host.checkpoint_saved(outcome.file)
        elif is_last and outcome.file:
            self.host.lora_saved(outcome.file)
        if is_last and outcome.file:
            yield Saved(self.steps, 0, file, outcome.file.stem, final=True)
        return done

    def _show(self, part: Shows, parts_record: PartsRecord) -> Generator[Event, None, Done | None]:
        """Draws in one process."""
        is_whole = False
        if self.world.is_main:
            for event in part.draw(self.lending.lease(part.config, part.findings), parts_record, self.controls):
                is_whole = is_whole or isinstance(event, StrengthsSheet)  # a stop after that leaves nothing undone
                yield event
        is_whole = any(self.world.gather(is_whole))
        if self.controls.stopping and not (is_whole and self.controls.stopping == "save"):
            return None
        return parts_record.add(part.key, Done("", 0))

    def _broken_off(
        self, parts_record: PartsRecord, part: Part, place: tuple[int, int], began: float, result: str
    ) -> Iterator[Event]:
        """The person stopped: either all is thrown away, or it may go on later; a result that was made stays.

        Args:
            parts_record, part: the training's, and where it was.
            place: the part's number from 1, and how many there are.
            began: as in `course`.
            result: the file that is whole already.
        """
        number, of = place
        kept = ""
        if self.controls.stopping == "discard":
            yield from parts_record.discard()
        elif isinstance(part, Shows):
            kept = result
            yield BrokenOff(drawing.broken_off(self.config.name))
        else:
            yield BrokenOff(f"Stopped in part {number} of {of} ({part.title}), so {self.config.name!r} is not what it "
                            "is meant to be yet: 'Continue this training', or resume = auto, goes on from here.")
        yield self.ended(began, kept, stopped=True)

    def ended(self, began: float, file: str, stopped: bool = False, is_lora: bool = True) -> Finished:
        """Returns the end of the whole; only a LoRA has a tag."""
        name = Path(file).stem if file else self.config.name
        return Finished(
            step=self.steps, file=file, name=name, tag=record.prompt_tag(name) if file and is_lora else "",
            trigger=record.trigger_words(self.config, self.findings.items) if file else "", stopped=stopped,
            seconds=time.monotonic() - began,
        )
