"""ReLoRA: train, merge into a private copy of the checkpoint, train on with fresh adapters at a lower rate.

Lialin et al. 2023, "ReLoRA: High-Rank Training Through Low-Rank Updates" (arXiv:2307.05695): the sum of N updates of
rank r has a rank of up to N r, so a small LoRA can teach as much as a big one. After every merge the adapters, the
optimiser's state and the warm-up begin anew (section 3; they prune the optimiser's state, here it is dropped whole,
as a fresh run does by itself).

Each copy is made of the original checkpoint and all rounds so far, in double precision and rounded once: what half
precision swallows of one round is not lost to the sum. Only kinds whose change depends on the weight itself (DoRA, OFT)
are merged one after the other. The host's own model is never touched: it lends itself for the first round, loads the
copies for the others and has its own checkpoint back afterwards.
"""
from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.lora import card, checkpoint, file, whole
from lib_trainer.lora.card import Card
from lib_trainer.lora.keys import by_layer
from lib_trainer.lora.metadata import MODEL_HASH
from lib_trainer.training.checks.files import SUFFIX, output_folder
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.checks.rounds import SESSION, base_file, is_own, result_checkpoint
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event, Finished, Removed
from lib_trainer.training.methods import phases, rounds
from lib_trainer.training.methods.parts import Part, Trains, Works
from lib_trainer.training.methods.parts_record import PartsRecord
from lib_trainer.training.outputs import record as told
from lib_trainer.training.outputs.job_folder import is_same_run
from lib_trainer.training.outputs.room import Need
from lib_trainer.training.resume import run_record
from lib_trainer.training.settings.rounds import CHECKPOINT, LORA
from lib_trainer.training.world import World
from lib_trainer.workbench import companions, factors, into_checkpoint, merge, streamed
from lib_trainer.workbench.into_checkpoint import IntoCheckpointOrder
from lib_trainer.workbench.merge import MergeOrder
from lib_trainer.workbench.operation import Operation, Outcome
from lib_trainer.workbench.reduction import SVD, Reduction
from lib_trainer.workbench.sources import Source

ROUNDS = "relora.rounds"
"""Key of a merged checkpoint's metadata: hashes of the LoRAs that are in it."""

PRECISIONS = {"fp16": "fp16", "bf16": "bf16", "float": "fp32"}
"""The trainer's word for a file's precision -> the workbench's."""


def course(
    config: TrainConfig, host: Host, controls: Controls, findings: Findings, world: World
) -> Iterator[Event]:
    """Trains all rounds; the result is a LoRA, a checkpoint or both.

    Raises:
        UserError: something went wrong that the person can mend.
    """
    _merge_again(config, findings)
    training = Rounds(config, host, findings, base_file(findings))
    is_over = False
    for event in phases.run(config, host, controls, findings, world, training.parts):
        is_over = isinstance(event, Finished) and not event.stopped
        if isinstance(event, Finished) and controls.stopping == "discard" and world.is_main:
            yield from training.thrown_away()
        yield event
    if world.is_main and (is_over or controls.stopping == "discard"):
        training.clear()  # now that the host has its own checkpoint again: Windows keeps files that are in use


def _merge_again(config: TrainConfig, findings: Findings) -> None:
    """Forgets a merge whose private checkpoint is gone though the next round needs it: its LoRAs are still there."""
    found = findings.found
    if found is None or found.record is None or not is_same_run(config, found):
        return
    for number in range(1, config.rounds):
        path = rounds.checkpoint_file(found.folder, config.name, number)
        if rounds.key(number + 1) not in found.record.done and not path.exists():
            found.record.done.pop(f"merge-{number:02d}", None)


@dataclass
class Rounds:
    """One training in rounds.

    Attributes:
        config, host, findings: of the whole. base: the file of its checkpoint.
        job: its folder, once that is known.
    """

    config: TrainConfig
    host: Host
    findings: Findings
    base: Path
    job: Path = Path()

    def parts(self, job: Path) -> list[Part]:
        """Returns the rounds, the merges between them and the results."""
        self.job = job
        parts: list[Part] = []
        for number in range(1, self.config.rounds + 1):
            parts.append(self._round(number))
            if number < self.config.rounds:
                parts.append(Works(f"merge-{number:02d}", f"Merging round {number}",
                                   partial(self._private, number=number)))
        if self.config.round_result != LORA:
            parts.append(Works("checkpoint", "The checkpoint of all rounds", self._checkpoint, is_lora=False))
        if self.config.round_result != CHECKPOINT:
            parts.append(Works("lora", "One LoRA of all rounds", self._lora))
        return self._with_needs(parts)

    def clear(self) -> None:
        """Removes private checkpoints: all that lies in the folder of rounds but their LoRAs and records."""
        self._remove_private(keep=0)

    def thrown_away(self) -> Iterator[Event]:
        """Removes the checkpoint of all rounds, if this very training has written it, with the `.yaml` that came with
        it; LoRAs are in the record.
        """
        known = run_record.read(self.job)
        if known is None or self.config.round_result == LORA:
            return
        path = result_checkpoint(self.config, self.host)
        if path.exists() and is_own(path, known.session):
            with contextlib.suppress(OSError):
                path.unlink()
                companions.remove_with(self.base, path)
                yield Removed(0, str(path), path.stem)

    def _round(self, number: int) -> Trains:
        base = rounds.checkpoint_file(self.job, self.config.name, number - 1) if number > 1 else None
        return Trains(
            rounds.key(number), f"Round {number} of {self.config.rounds}",
            rounds.settings(self.config, number, self.job, base),
            replace(self.findings, base=base or self.findings.base))

    def _with_needs(self, parts: list[Part]) -> list[Part]:
        """Says what is still to be written: two private checkpoints lie on the disk at once, while one is made."""
        found = self.findings.found  # not what is on the disk: a merge whose file is gone counts as done there
        done = found.record.done if found and found.record and is_same_run(self.config, found) else {}
        merges = [part for part in parts if part.key.startswith("merge-") and part.key not in done]
        there = any(rounds.checkpoint_file(self.job, self.config.name, number).exists()
                    for number in range(1, self.config.rounds))
        size = self.base.stat().st_size
        needs: dict[str, Need] = {}
        if merges:
            count = 1 if there else min(2, len(merges))
            needs[merges[0].key] = Need(self.job, count, size, "private checkpoints")
        if self.config.round_result != LORA:
            needs["checkpoint"] = Need(result_checkpoint(self.config, self.host).parent, 1, size, "checkpoints")
        return [replace(part, needs=(needs[part.key],)) if isinstance(part, Works) and part.key in needs else part
                for part in parts]

    def _loras(self, record: PartsRecord, upto: int) -> list[Path]:
        return [record.file(rounds.key(number)) for number in range(1, upto + 1)]

    def _private(self, record: PartsRecord, number: int) -> Operation:
        """Writes the private checkpoint with the rounds so far, then removes the one before it."""
        out = rounds.checkpoint_file(self.job, self.config.name, number)
        outcome = yield from self._merged(record, number, out)
        self._remove_private(keep=number)
        return outcome

    def _checkpoint(self, record: PartsRecord) -> Operation:
        """Writes the checkpoint of all rounds among the person's own."""
        out = result_checkpoint(self.config, self.host)
        outcome = yield from self._merged(record, self.config.rounds, out)
        if self.config.round_result == CHECKPOINT:
            self._remove_private(keep=0)
        return outcome

    def _merged(self, record: PartsRecord, upto: int, out: Path) -> Operation:
        """Merges rounds into a checkpoint; one that a killed process has finished already is taken as it is."""
        loras = self._loras(record, upto)
        proof = {SESSION: str(record.whole.session), ROUNDS: json.dumps([_hash(path) for path in loras])}
        if out.exists() and proof.items() <= file.read_header(out)[1].items():
            return Outcome(out)
        base = self.base
        if upto > 1 and _depends_on_the_model(loras[-1]):
            base, loras = rounds.checkpoint_file(self.job, self.config.name, upto - 1), loras[-1:]
        outcome = yield from into_checkpoint.run(IntoCheckpointOrder(
            base, tuple(map(Source, loras)), out, _precision(base), replace=rounds.is_private(self.job, out),
            record=proof))
        return outcome

    def _lora(self, record: PartsRecord) -> Operation:
        """Adds up all rounds to one LoRA: written in the job's folder, noted as ours, then put where it belongs."""
        made = rounds.private_folder(self.job) / f"{self.config.name}{SUFFIX}"
        made.unlink(missing_ok=True)  # a killed process may have left it
        rank = self.config.round_rank
        outcome = yield from merge.run(MergeOrder(
            tuple(map(Source, self._loras(record, self.config.rounds))), made,
            Reduction(SVD, rank) if rank else Reduction(), precision=PRECISIONS[self.config.save_precision]))
        out = output_folder(self.config, self.host) / made.name
        own = record.whole.is_own(out)
        record.whole.add_file(record.folder, out, _hash(made))
        whole.write(out, made.read_bytes(), overwrite=own)
        made.unlink()
        note = self._card(out)
        self._remove_private(keep=0)
        return replace(outcome, file=out, notes=[*outcome.notes, *note])

    def _card(self, out: Path) -> list[str]:
        """Makes the card in the WebUI's list; returns why it could not be made."""
        found = self.findings.checkpoint
        assert found is not None  # the check has found it
        text = f"Trained on {found.name} in {self.config.rounds} rounds, each merged before the next (ReLoRA)."
        try:
            card.write(out, Card(found.family, text, self.config.comment,
                                 told.trigger_words(self.config, self.findings.items)), None)
        except UserError as fault:
            return [f"The LoRA is saved, but its card in the WebUI's list could not be made: {fault}"]
        return []

    def _remove_private(self, keep: int) -> None:
        """Removes the private checkpoints of other rounds than one, and what lies beside them; 0 = of all."""
        for number in range(1, self.config.rounds):
            path = rounds.checkpoint_file(self.job, self.config.name, number)
            for left in (path, path.with_suffix(".yaml")) if number != keep else ():
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
        if not keep:
            for folder in rounds.private_folder(self.job).glob("*/"):
                shutil.rmtree(folder, ignore_errors=True)


def _hash(path: Path) -> str:
    return file.read_header(path)[1][MODEL_HASH]


def _depends_on_the_model(lora: Path) -> bool:
    """Whether what a LoRA does depends on the weights of the checkpoint that it was trained on."""
    return any(factors.needs_base(parts) for parts in by_layer(file.read_header(lora)[0]).values())


def _precision(base: Path) -> str:
    """Returns the precision of a merged checkpoint: the file's own; 8 bits would swallow what a round has learned."""
    with checkpoint.opened(base) as tensors:
        is_coarse = any(dtype.startswith("F8") for dtype, _ in tensors.entries.values())
    return "fp16" if is_coarse else streamed.AS_IT_IS
