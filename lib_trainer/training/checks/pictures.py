"""The picture folders and the sizes."""
from __future__ import annotations

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.scan import Item, scan
from lib_trainer.errors import UserError
from lib_trainer.host import Checkpoint
from lib_trainer.training import config_rules, datasets
from lib_trainer.training.checks import caches
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.datasets import DatasetSpec, Source
from lib_trainer.training.rules.data import parse_resolution

SIZES = ("resolution", "buckets", "bucket_min", "bucket_max", "bucket_step")
"""Settings without which no sizes can be made."""


def pictures(config: TrainConfig, findings: Findings, sizes_readable: bool = True) -> None:
    """Opens the folders and makes the sizes.

    Args:
        config: the settings.
        findings: with the checkpoint, where there is one; filled.
        sizes_readable: whether the settings in `SIZES` could be read.
    """
    if not config.images:
        findings.faults.append("Picture folder is empty: give the folder with the pictures to train on.")
    found = [_found(spec, findings, sizes_readable) for spec in [datasets.of_form(config)]]
    findings.items = [item for items, _ in found for item in items]
    caches.looks(config, findings)
    whole = [
        Dataset(items, buckets, spec.config.batch_size, place=spec.place)
        for (items, buckets), spec in zip(found, [datasets.of_form(config)], strict=True)
        if buckets and any(not item.is_reg for item in items)
    ]
    findings.datasets = whole if len(whole) == len(found) else []


def _found(spec: DatasetSpec, findings: Findings, sizes_readable: bool) -> tuple[list[Item], Buckets | None]:
    items = [item for source in spec.sources for item in _scanned(source, findings)]
    buckets = _sizes(spec.config, findings.checkpoint, findings) if findings.checkpoint and sizes_readable else None
    return items, buckets


def _scanned(source: Source, findings: Findings) -> list[Item]:
    try:
        found = scan(source.folder, subset=source.subset, caption_extension=source.caption_extension,
                     trigger=source.class_tokens)
    except UserError as error:
        findings.faults.append(str(error))
        return []
    findings.faults += found.problems
    findings.warnings += found.warnings
    findings.warnings += [f"{skip.path} is not used: {skip.reason}." for skip in found.skipped]
    return found.items


def _step(config: TrainConfig, checkpoint: Checkpoint) -> int:
    needed = checkpoint.family.bucket_step
    if config.bucket_step % needed:
        raise UserError(f"bucket_step = {config.bucket_step}: {checkpoint.family.label} needs a multiple of {needed}; "
                        f"use {max(needed, round(config.bucket_step / needed) * needed)}, or 0.")
    return config.bucket_step or needed


def _sizes(config: TrainConfig, checkpoint: Checkpoint, findings: Findings) -> Buckets | None:
    try:
        width, height = parse_resolution(config.resolution) or (checkpoint.resolution,) * 2
        buckets = Buckets(
            width, height, _step(config, checkpoint), enabled=config.buckets, minimum=config.bucket_min,
            maximum=config.bucket_max, no_upscale=config.bucket_no_upscale,
        )
    except UserError as error:
        if str(error) not in config_rules.faults(config):
            findings.faults.append(str(error))
        return None
    findings.warnings += buckets.notes
    return buckets
