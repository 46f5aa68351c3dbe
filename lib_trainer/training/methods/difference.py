"""The difference of two copiers: what turns the pictures before into those after, and nothing else.

Two pictures differ in one thing. One LoRA is overfitted on each until it only copies it ("copiers"); subtracting the
first from the second leaves what differs (the recipe of the "copier learning" articles; see docs/METHODS.md). Both are
ordinary runs on one lease, with the same seed, the same caption and the same noise for both pictures of a pair, so that
what they have in common cancels out. "on top" trains the second one while the first acts, in place of a subtraction.
"""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lib_trainer.data.item import Item
from lib_trainer.data.plan import Plan
from lib_trainer.data.scanning.pairs import first_sides, second_sides
from lib_trainer.errors import UserError
from lib_trainer.host import Host, Lease
from lib_trainer.lora import card, file, metadata, whole
from lib_trainer.training.checks.copiers import AFTER, BEFORE, named, seeds_of
from lib_trainer.training.checks.files import SUFFIX, output_folder
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event, Finished, Removed
from lib_trainer.training.methods import copy_judge, difference_record, phases
from lib_trainer.training.methods.copy_judge import CopyJudge
from lib_trainer.training.methods.parts import Part, Shows, Trains, Works
from lib_trainer.training.methods.parts_record import PartsRecord
from lib_trainer.training.settings.copiers import ON_TOP
from lib_trainer.training.strengths import asked, drawing
from lib_trainer.training.world import World
from lib_trainer.workbench import merge
from lib_trainer.workbench.merge import MergeOrder
from lib_trainer.workbench.operation import Operation
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.sources import Source

_COPIERS = "copiers"
"""Folder inside the job's for copiers that are not kept."""

_SAMPLES = "samples.json"
_PRECISIONS = {"fp16": "fp16", "bf16": "bf16", "float": "fp32"}

_DIFFERENCE, _SHOWN = "difference", "strengths"
TITLES = {
    BEFORE: "Copier of the pictures before", AFTER: "Copier of the pictures after",
    ON_TOP: "The pictures after, on top of it", _DIFFERENCE: "After minus before",
    _SHOWN: drawing.DOING,
}
"""What the parts are called on the page."""

Side = Callable[[Sequence[Item]], list[Item]]


def course(
    config: TrainConfig, host: Host, controls: Controls, findings: Findings, world: World
) -> Iterator[Event]:
    """Trains both copiers and makes the difference; see `one_run.run` for the arguments.

    Raises:
        UserError: something went wrong that the person can mend.
    """
    if world.size > 1 and (config.copier_score or config.copier_level):
        raise UserError(f"copier_score = {config.copier_score:g} and copier_level = {config.copier_level}: samples are "
                        "drawn in one process only, so several processes cannot end a copier together; set both to 0, "
                        "or train in one process.")
    folders: list[Path] = []

    def parts(folder: Path) -> list[Part]:
        folders.append(folder)
        return parts_of(config, host, findings, folder)

    for event in phases.run(config, host, controls, findings, world, parts):
        if isinstance(event, Finished) and event.file and world.is_main:
            yield from _removed(folders[-1] / _COPIERS)
        yield event


def parts_of(config: TrainConfig, host: Host, findings: Findings, folder: Path) -> list[Part]:
    """Returns the parts of a training that lies in a folder."""
    first = _copier(config, host, findings, folder, BEFORE)
    shown = [_shown(config, host, findings)] if asked.wanted(config) else []
    if config.copier_way == ON_TOP:
        return [first, _on_top(config, findings, folder, first), *shown]
    second = _copier(config, host, findings, folder, AFTER)
    return [first, second, Works(
        _DIFFERENCE, TITLES[_DIFFERENCE], lambda record: _subtracted(config, host, findings, record)), *shown]


def _copier(config: TrainConfig, host: Host, findings: Findings, folder: Path, side: str) -> Trains:
    kept = output_folder(config, host) if config.keep_copiers else folder / _COPIERS
    settings = replace(
        _sampling(config, folder / side), name=named(config, side), output_folder=str(kept), save_precision="float")
    mine = _of_side(findings, first_sides if side == BEFORE else second_sides)
    return Trains(side, TITLES[side], settings, mine, lambda: _judge(settings, mine))


def _on_top(config: TrainConfig, findings: Findings, folder: Path, first: Trains) -> Trains:
    """The second one: it learns what the first one's copy lacks, so only where the pictures differ is it judged."""
    beneath = Path(first.config.output_folder) / f"{first.config.name}{SUFFIX}"
    bases = ", ".join(filter(None, [config.base_loras, f'"{beneath}":1']))
    settings = replace(_sampling(config, folder / AFTER), base_loras=bases)
    mine = _of_side(findings, second_sides)
    return Trains(AFTER, TITLES[ON_TOP], settings, mine,
                  lambda: _judge(settings, mine, first.findings))


def _shown(config: TrainConfig, host: Host, findings: Findings) -> Shows:
    """Pictures of the difference at its strengths, under the captions that the pictures before have."""
    def draw(lease: Lease, record: PartsRecord, controls: Controls) -> Iterator[Event]:
        made = record.file(AFTER if config.copier_way == ON_TOP else _DIFFERENCE)
        result = drawing.Result(config, host, controls, lease, record.folder, made, 0)
        yield from drawing.draw(result, Plan(findings.datasets, seed=config.seed).pictures)

    return Shows(_SHOWN, TITLES[_SHOWN], config, findings, draw)


def _sampling(config: TrainConfig, folder: Path) -> TrainConfig:
    """Returns the settings of an ordinary run that samples the captions of its pictures."""
    every_epoch = 0 if config.copier_every_steps else 1
    return replace(
        config, method="lora", resume="", preview_file=str(folder / _SAMPLES),
        preview_at_first=True, preview_every_steps=config.copier_every_steps, preview_every_epochs=every_epoch,
    )


def _of_side(findings: Findings, side: Side) -> Findings:
    """Returns the findings of a run on one side of the pairs.

    A picture after is called in the run as the one before and has its sizes, so that both draw the same noise and
    timesteps in the same bucket.
    """
    datasets = [replace(dataset, items=_called_alike(dataset.items, side)) for dataset in findings.datasets]
    return replace(findings, datasets=datasets, items=[item for dataset in datasets for item in dataset.items])


def _called_alike(items: Sequence[Item], side: Side) -> list[Item]:
    return [replace(item, called=first.called or first.key, width=first.width, height=first.height)
            for item, first in zip(side(items), items, strict=True)]


def _judge(config: TrainConfig, mine: Findings, others: Findings | None = None) -> CopyJudge:
    """Makes a copier's judge, and writes the file of the prompts that it judges."""
    pictures = copy_judge.sampled(mine.datasets)
    path = Path(config.preview_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.write(path, json.dumps(copy_judge.samples(pictures, seeds_of(config)), indent=1).encode("utf8"),
                overwrite=True)
    return CopyJudge(config, copy_judge.aims(pictures, others.datasets if others else ()))


def _subtracted(config: TrainConfig, host: Host, findings: Findings, record: PartsRecord) -> Operation:
    """Subtracts, and writes the result with its record and card."""
    made = record.folder / f"{config.name}{SUFFIX}"
    made.unlink(missing_ok=True)
    after, before = record.file(AFTER), record.file(BEFORE)
    try:
        outcome = yield from merge.run(_order(config, host, findings, made, after, before))
        told = file.load(made)
    finally:
        made.unlink(missing_ok=True)
    out = output_folder(config, host) / f"{config.name}{SUFFIX}"
    facts = difference_record.facts(config, findings, told.metadata, file.load(after).metadata)
    facts |= metadata.hashes(told.tensors, facts)
    own = record.whole.is_own(out)
    record.whole.add_file(record.folder, out, facts[metadata.MODEL_HASH])
    file.save(out, told.tensors, facts, overwrite=own)
    if findings.checkpoint:
        card.write(out, difference_record.card(config, findings, findings.checkpoint), None)
    return replace(outcome, file=out)


def _order(
    config: TrainConfig, host: Host, findings: Findings, out: Path, after: Path, before: Path
) -> MergeOrder:
    checkpoint = findings.checkpoint
    reduction = Reduction()
    if config.copier_reduction == "svd":
        reduction = Reduction("svd", config.copier_svd_rank or config.rank,
                              config.copier_svd_conv_rank or config.conv_rank or None)
    return MergeOrder(
        (Source(after, 1.0), Source(before, -1.0)), out, reduction, shuffle=True, seed=config.seed,
        precision=_PRECISIONS[config.save_precision], base=checkpoint.path if checkpoint else None,
        family=checkpoint.family.name if checkpoint else "", presets=host.presets(),
    )


def _removed(folder: Path) -> Iterator[Event]:
    """Removes the copiers that are not kept."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        yield Removed(0, str(path), path.stem)
    shutil.rmtree(folder, ignore_errors=True)


