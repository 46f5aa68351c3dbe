"""What a run would train on and for how long, before it starts: the picture folder's card on the page.

Nothing is decided here: the folders are read by `check.examine`, the epochs planned by `data.plan.Plan` and counted
by `data.steps`, the same code that the run itself goes through.
"""
from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lib_trainer.data import steps
from lib_trainer.data.bucket_report import BucketReport
from lib_trainer.data.caches import cache_size
from lib_trainer.data.concepts import Concept
from lib_trainer.data.holdout import hold_out
from lib_trainer.data.item import Item
from lib_trainer.data.plan import Plan
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training import check
from lib_trainer.training.checks import caches
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.method import DIFFERENCE, PROMPTED, RELORA
from lib_trainer.training.statistics.held_out import seed_of


@dataclass(frozen=True)
class Forecast:
    """What the folders hold and what follows from the settings.

    Attributes:
        items: the training pictures. captioned: how many of them have a caption file that is not empty.
        reg_pictures: usable regularisation pictures.
        folders: (name, repeats, pictures) of every folder of training pictures.
        sizes: (width, height, uses per epoch) of every bucket, the most used first.
        samples: uses per epoch, regularisation included. batches: batches per epoch.
        steps: optimiser steps of the run; 0 = cannot be said yet. epochs: passes over the data.
        problems: what must be mended before a start (the name is not looked at). warnings: what a person should know.
        report: which picture goes where; None = cannot be said yet.
        cache_bytes: of the cached latents, in memory or on disk.
        held_out: pictures that are measured instead of trained on.
        concepts: what is learned from prompts in place of pictures.
        runs: how many trainings of so many steps the method takes.
    """

    items: list[Item] = field(default_factory=list)
    captioned: int = 0
    reg_pictures: int = 0
    folders: list[tuple[str, int, int]] = field(default_factory=list)
    sizes: list[tuple[int, int, int]] = field(default_factory=list)
    samples: int = 0
    batches: int = 0
    steps: int = 0
    epochs: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    report: BucketReport | None = None
    cache_bytes: int = 0
    held_out: int = 0
    concepts: list[Concept] = field(default_factory=list)
    runs: int = 1

    def to_json(self) -> dict[str, Any]:
        """Returns numbers and sentences, ready for JSON; the pictures only counted."""
        return {**vars(self), "items": None, "report": None, "pictures": len(self.items),
                "concepts": [asdict(one) for one in self.concepts]}


def forecast(config: TrainConfig, host: Host) -> Forecast:
    """Reads the folders of a config (headers only) and counts the steps.

    Args:
        config: settings, also unfinished ones.
        host: where it would be trained.
    """
    findings = check.examine(config, host, frozenset({"name"}))
    if config.method in PROMPTED:
        return _of_prompts(config, findings)
    items = [item for item in findings.items if not item.is_reg]
    reg = [item for item in findings.items if item.is_reg]
    subsets = {id(item.subset): item.subset for item in items}
    folders = Counter(id(item.subset) for item in items)
    found = Forecast(
        items=items, captioned=sum(item.captioned for item in items), reg_pictures=len(reg),
        folders=[(subsets[key].name, subsets[key].repeats, count) for key, count in folders.items()],
        problems=findings.faults, warnings=findings.warnings,
    )
    if not findings.datasets:
        return found
    plan = Plan(findings.datasets, seed=config.seed)
    found = replace(found, report=BucketReport(plan), **_caches(config, plan, findings))
    if not (config.steps or config.epochs):
        return found
    try:
        trained, held = hold_out(findings.datasets, seed_of(config))
    except UserError as error:
        return replace(found, problems=[*found.problems, str(error)])
    if held:
        plan = Plan(trained, seed=config.seed)
    length = steps.run_length(plan.batches_per_epoch, config.gradient_accumulation, config.epochs, config.steps)
    sizes = [(width, height, uses) for (width, height), uses in plan.bucket_counts.items()]
    return replace(
        found, sizes=sorted(sizes, key=lambda size: -size[2]), samples=plan.samples_per_epoch,
        batches=plan.batches_per_epoch, steps=length.updates, epochs=length.epochs,
        held_out=sum(len(dataset.items) for dataset in held),
        runs={DIFFERENCE: 2, RELORA: config.rounds}.get(config.method, 1),
    )


def _of_prompts(config: TrainConfig, findings: Findings) -> Forecast:
    """A run without pictures has as many steps as are set."""
    concepts = [item.subset.concept for item in findings.items if item.subset.concept]
    found = Forecast(concepts=concepts, problems=findings.faults, warnings=findings.warnings, steps=config.steps)
    if not findings.datasets:
        return found
    plan = Plan(findings.datasets, seed=config.seed)
    return replace(found, batches=plan.batches_per_epoch, samples=plan.samples_per_epoch,
                   sizes=[(*size, uses) for size, uses in plan.bucket_counts.items()])


def _caches(config: TrainConfig, plan: Plan, findings: Findings) -> dict[str, Any]:
    """What the caches need, and whether they fit."""
    pictures = [*plan.pictures, *plan.partners]
    needed = cache_size.latents(pictures) if config.cache_latents else 0
    try:
        return {"cache_bytes": needed, "warnings": findings.warnings + caches.memory(config, pictures)}
    except UserError as error:
        return {"cache_bytes": needed, "problems": [*findings.faults, str(error)]}
