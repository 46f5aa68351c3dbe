"""The picture folders, the dataset file and the sizes."""
from __future__ import annotations

from collections.abc import Sequence

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.scanning.gathering import Scan
from lib_trainer.data.scanning.metadata_scan import scan_metadata
from lib_trainer.data.scanning.pairs import sides
from lib_trainer.data.scanning.scan import scan
from lib_trainer.errors import UserError
from lib_trainer.host_model import Checkpoint
from lib_trainer.training import config_rules, dataset_file, datasets
from lib_trainer.training.checks import caches, captions, pairs
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
    specs = _specs(config, findings)
    scanned = [_scanned(spec, findings) for spec in specs]
    findings.items = [item for items in scanned for item in items]
    caches.looks(config, findings)
    findings.warnings += captions.remarks(config, sides(findings.items))
    if findings.checkpoint and sizes_readable:
        sizes = [_sizes(spec, findings.checkpoint, findings) for spec in specs]
        findings.datasets = _whole(specs, scanned, sizes)


def _specs(config: TrainConfig, findings: Findings) -> list[DatasetSpec]:
    """Returns the data sets that are asked for: those of the dataset file, or the form's own."""
    if not config.datasets:
        if not config.images and not config.metadata_file:
            findings.faults.append("Picture folder is empty: give the folder with the pictures to train on.")
        return [datasets.of_form(config)]
    read = dataset_file.read(config)
    findings.faults += read.faults
    findings.warnings += read.warnings
    return read.specs


def _whole(
    specs: Sequence[DatasetSpec], scanned: Sequence[list[Item]], sizes: Sequence[Buckets | None]
) -> list[Dataset]:
    """Returns the data sets; none of them where one is at fault."""
    found = [
        Dataset(
            items, buckets, spec.config.batch_size, validation_split=spec.config.validation_split,
            validation_seed=None if spec.config.validation_seed < 0 else spec.config.validation_seed, place=spec.place)
        for spec, items, buckets in zip(specs, scanned, sizes, strict=True)
        if buckets and any(not item.is_reg for item in items)
    ]
    return found if len(found) == len(specs) else []


def _scanned(spec: DatasetSpec, findings: Findings) -> list[Item]:
    """Returns the pictures of a data set, with a fault where it has folders but no training picture."""
    faults = len(findings.faults)
    items = [item for source in spec.sources for item in _opened(source, findings)]
    if spec.place and len(findings.faults) == faults and all(item.is_reg for item in items):
        findings.faults.append(f"{spec.place} has no training pictures: add a subset with some, without is_reg.")
    return items


def _opened(source: Source, findings: Findings) -> list[Item]:
    where = f"{source.place}: " if source.place else ""
    if source.endings and source.subset.is_reg:
        findings.faults.append(f"{where}is_reg = true: this method learns what is different in pairs, and "
                               "regularisation pictures are none; leave the subset out, or is_reg.")
        return []
    try:
        found = pairs.read(source, _read) if source.endings else _read(source)
    except UserError as error:
        findings.faults.append(f"{where}{error}")
        return []
    findings.faults += [f"{where}{problem}" for problem in found.problems]
    findings.warnings += [f"{where}{warning}" for warning in found.warnings]
    findings.warnings += [f"{skip.path} is not used: {skip.reason}." for skip in found.skipped]
    return found.items


def _read(source: Source) -> Scan:
    if source.metadata_file:
        return scan_metadata(source.metadata_file, source.folder, subset=source.subset, trigger=source.class_tokens)
    return scan(source.folder, subset=source.subset, caption_extension=source.caption_extension,
                trigger=source.class_tokens, named_folders=source.named_folders)


def _step(config: TrainConfig, checkpoint: Checkpoint) -> int:
    needed = checkpoint.family.bucket_step
    if config.bucket_step % needed:
        raise UserError(f"bucket_step = {config.bucket_step}: {checkpoint.family.label} needs a multiple of {needed}; "
                        f"use {max(needed, round(config.bucket_step / needed) * needed)}, or 0.")
    return config.bucket_step or needed


def _sizes(spec: DatasetSpec, checkpoint: Checkpoint, findings: Findings) -> Buckets | None:
    config, where = spec.config, f"{spec.place}: " if spec.place else ""
    try:
        width, height = parse_resolution(config.resolution) or (checkpoint.resolution,) * 2
        buckets = Buckets(
            width, height, _step(config, checkpoint), enabled=config.buckets, minimum=config.bucket_min,
            maximum=config.bucket_max, no_upscale=config.bucket_no_upscale,
        )
    except UserError as error:
        if str(error) not in config_rules.faults(config):
            findings.faults.append(f"{where}{error}")
        return None
    findings.warnings += [f"{where}{note}" for note in buckets.notes]
    return buckets
