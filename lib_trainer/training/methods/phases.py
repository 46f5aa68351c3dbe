"""Several runs as one training: parts that train or work on files, one after the other, with one record on the disk.

A method gives the list of its parts. Each training part is an ordinary run (`one_run.on`) with its own settings and its
own folder inside the job's, so its states are as exact as those of any run; neighbours that want the same checkpoint
train on one lease, so that nothing is loaded twice. A part that works on files is an operation of the workbench: closed
in the middle, it leaves nothing behind. `run.json` of the whole says which parts are through (`parts_record`): after a
stop, a failure or a kill the training goes on inside the part that was running.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib_trainer.data.holdout import hold_out
from lib_trainer.host import Host
from lib_trainer.training import one_run, outset
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import (
    Continued,
    Event,
    Finished,
    Paused,
    PhaseStarted,
    Saved,
    Warned,
    WorkDone,
    Worked,
)
from lib_trainer.training.methods.lending import Lending
from lib_trainer.training.methods.parts_record import Done, PartsRecord
from lib_trainer.training.outputs import job_folder, record, room
from lib_trainer.training.outputs.room import Need
from lib_trainer.training.progress import Length
from lib_trainer.training.resume import run_record
from lib_trainer.training.run import Judge, patiently
from lib_trainer.training.statistics.held_out import seed_of
from lib_trainer.training.world import World
from lib_trainer.workbench.operation import Operation, Outcome

_OFTEN = 0.2
"""Seconds between two events of an operation's progress."""


@dataclass(frozen=True)
class Trains:
    """A part that trains a LoRA.

    Attributes:
        key: its name on the disk, the same whenever the training goes on; a folder is called so.
        title: what it is, for the person, such as "Copier of the picture after".
        config: its settings; its LoRA is `config.name` in the output folder that they say.
        findings: what its run needs of the check: pictures, data sets, checkpoint. Its `base` may be a file that an
            earlier part writes.
        judge: makes what looks at its events; None = nobody.
    """

    key: str
    title: str
    config: TrainConfig
    findings: Findings
    judge: Callable[[], Judge] | None = None


@dataclass(frozen=True)
class Works:
    """A part that works on files.

    Attributes:
        key, title: as in `Trains`.
        work: begins the operation; it is told what the earlier parts have left. The file of its outcome, where it is
            the last part, is the training's result.
        needs: what it will write.
        is_lora: whether its file, where the host is told of it, is a LoRA; False = a checkpoint.
    """

    key: str
    title: str
    work: Callable[[PartsRecord], Operation]
    needs: tuple[Need, ...] = field(default=())
    is_lora: bool = True


Part = Trains | Works
Parts = Callable[[Path], Sequence[Part]]
"""From the folder of the whole training to its parts: the same ones whenever it goes on."""


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
        enough = yield from training.check_room(parts(job_folder.place(config, host, findings)))
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
        result = ""
        for number, part in enumerate(parts, 1):
            done = parts_record.done(part.key)
            if done is None:
                titles = tuple(one.title for one in parts)
                yield PhaseStarted(number, len(parts), part.title, str(parts_record.folder), titles)
                yield from self._pause()
                is_last = number == len(parts)
                done = yield from self._do(part, parts_record, is_last)
            if done is None:
                yield from self._broken_off(parts_record, part, number, len(parts), began)
                return
            self.steps += done.steps
            result = done.file
        parts_record.close()
        last = parts[-1]
        yield self.ended(began, result, is_lora=isinstance(last, Trains) or last.is_lora)

    def once(self, events: Iterator[Event]) -> Iterator[Event]:
        """Passes events on, every warning once."""
        for event in events:
            if isinstance(event, Warned):
                if event.message in self.told:
                    continue
                self.told.add(event.message)
            yield event

    def check_room(self, parts: Sequence[Part]) -> Generator[Event, None, bool]:
        """Checks that there is room for what all parts will write; returns False when the person stopped meanwhile.

        Raises:
            Problems: there is not.
        """
        found = self.findings.found
        done = found.record.done if found and found.record else {}
        needs: list[Need] = []
        for part in parts:
            if part.key in done:
                continue
            if isinstance(part, Works):
                needs += part.needs
                continue
            wanted = yield from self._needs(part, parts)
            if wanted is None:
                return False
            needs += wanted
        room.check(needs)
        return True

    def _needs(self, part: Trains, parts: Sequence[Part]) -> Generator[Event, None, list[Need] | None]:
        """Returns what a part will write; None when the person stopped while the model was away.

        The adapters are counted on the first checkpoint: what an earlier part has yet to write has the same layers.
        """
        first = next(one for one in parts if isinstance(one, Trains))
        lease = self.lending.lease(first.config, self.findings)
        plain = replace(part.config, base_loras="", continue_from="")

        def made() -> outset.Adapters:
            with lease.turn() as model:
                return outset.adapters(plain, self.host, model)

        adapters = yield from patiently(self.controls, 0, made)
        if adapters is None:
            return None
        plan = outset.plan(part.config, hold_out(part.findings.datasets, seed_of(part.config))[0])
        length = Length.of(plan.batches_per_epoch, part.config)
        return room.needs(part.config, self.host, adapters.network, length)

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
            outcome = yield from self._worked(part.work(parts_record))
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

    def _worked(self, operation: Operation) -> Generator[Event, None, Outcome | None]:
        """Passes an operation's progress on; a stop closes it, and nothing of it is left."""
        told = 0.0
        with closing(operation):
            while not self.controls.stopping:
                try:
                    at = next(operation)
                except StopIteration as end:
                    outcome: Outcome = end.value
                    return outcome
                if time.monotonic() - told >= _OFTEN or at.done == at.total:
                    told = time.monotonic()
                    yield Worked(at.what, at.done, at.total)
        return None

    def _broken_off(
        self, parts_record: PartsRecord, part: Part, number: int, of: int, began: float
    ) -> Iterator[Event]:
        """The person stopped: either all is thrown away, or it may go on later."""
        if self.controls.stopping == "discard":
            yield from parts_record.discard()
        else:
            yield Warned(f"Stopped in part {number} of {of} ({part.title}), so {self.config.name!r} is not what it is "
                         "meant to be yet: 'Continue this training', or resume = auto, goes on from here.")
        yield self.ended(began, "", stopped=True)

    def ended(self, began: float, file: str, stopped: bool = False, is_lora: bool = True) -> Finished:
        """Returns the end of the whole; only a LoRA has a tag."""
        name = Path(file).stem if file else self.config.name
        return Finished(
            step=self.steps, file=file, name=name, tag=record.prompt_tag(name) if file and is_lora else "",
            trigger=record.trigger_words(self.config, self.findings.items) if file else "", stopped=stopped,
            seconds=time.monotonic() - began,
        )
