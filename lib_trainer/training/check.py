"""What can be known to be wrong before a training starts: the settings, the disk, the loaded checkpoint.

All faults are reported together, each in one sentence with the remedy, so that a person mends the form once. What only
the model itself can tell (its device, its precision) is asked inside the first turn, see `checks.hardware.check_model`.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Host
from lib_trainer.host_model import Checkpoint
from lib_trainer.training import base, config_rules, config_values, wishes
from lib_trainer.training.checks import (
    concepts,
    copiers,
    files,
    hardware,
    lora,
    objective,
    pictures,
    previews,
    resume,
    rounds,
    unused,
)
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.loss import noise_schedule
from lib_trainer.training.settings.loss import LossSettings
from lib_trainer.training.settings.method import DIFFERENCE, PROMPTED, RELORA


def read(values: Mapping[str, Any], host: Host) -> TrainConfig:
    """Returns the config of written values after looking at everything: settings, disk and checkpoint.

    Raises:
        Problems: all faults together.
    """
    return settle(values, host)[0]


def settle(values: Mapping[str, Any], host: Host) -> tuple[TrainConfig, Findings]:
    """Returns the config of written values, and what was found when it can start.

    Raises:
        Problems: all faults together.
    """
    fields, faults, bad = config_values.read(dataclasses.fields(TrainConfig), values)
    config = TrainConfig(**fields)
    return config, _passed(config, examine(config, host, bad), faults + config_rules.faults(config, bad))


def check(config: TrainConfig, host: Host) -> Findings:
    """Returns what was found when the run can start.

    Raises:
        Problems: all faults together.
    """
    return _passed(config, examine(config, host), config_rules.faults(config))


def _passed(config: TrainConfig, findings: Findings, faults: list[str]) -> Findings:
    """Returns the findings, with what is allowed but rarely meant, when nothing is at fault."""
    if faults := faults + findings.faults:
        raise Problems(faults)
    findings.warnings += _traps(config, findings.checkpoint)
    return findings


def examine(config: TrainConfig, host: Host, bad: frozenset[str] = frozenset()) -> Findings:
    """Looks at the disk and the checkpoint.

    Args:
        config: the settings.
        host: where to train.
        bad: fields whose value could not be read; they have their sentence already and are not looked at.
    """
    findings = Findings()
    if "base_model" not in bad:
        _base(config, host, findings)
    checkpoint = findings.checkpoint
    kept = wishes.keeping(config)
    findings.faults += host.obstacles(kept)
    findings.warnings += host.remarks(kept)
    if checkpoint:
        findings.faults += noise_schedule.faults(config, checkpoint)
        findings.warnings += noise_schedule.warnings(config, checkpoint)
    if config.resume and not bad:
        resume.resume(config, host, findings)
    if "name" not in bad:
        own = resume.own_files(config, findings)
        findings.faults += files.name(config, host, own)
        if config.method == DIFFERENCE and not bad:
            findings.faults += copiers.faults(config, host, own)
    if config.method == RELORA and not bad:
        findings.faults += rounds.faults(config, host, findings)
        findings.warnings += rounds.warnings(config, findings)
    if "thumbnail" not in bad:
        findings.faults += files.thumbnail(config)
    _material(config, findings, bad)
    findings.warnings += unused.told(config)
    if checkpoint and config.clip_skip > 1 and not checkpoint.family.has_clip_skip:
        findings.warnings.append(f"Clip skip {config.clip_skip} does nothing: {checkpoint.family.label} always uses "
                                 "the last layer but one of its text encoders.")
    if checkpoint and not bad.intersection(lora.FIELDS):
        findings.faults += lora.network(config, host, checkpoint)
    if checkpoint and config.continue_from:
        findings.faults += lora.continue_from(config, host, checkpoint)
    findings.faults += hardware.hardware(config)
    if not bad.intersection(field.name for field in dataclasses.fields(LossSettings)):
        findings.faults += objective.faults(config, checkpoint) if checkpoint else []
        findings.warnings += objective.warnings(config, findings)
    if config.datasets and not bad.intersection(("datasets", "early_stopping")) and config.method not in PROMPTED:
        findings.faults += objective.measuring(config, findings)
    if "preview_file" not in bad:
        previews.previews(config, host, findings)
    return findings


def _material(config: TrainConfig, findings: Findings, bad: frozenset[str]) -> None:
    """What is learned from: pictures, or prompts."""
    has_sizes = not bad.intersection(pictures.SIZES)
    if config.method in PROMPTED:
        if not bad.intersection(concepts.FIELDS):
            concepts.concepts(config, findings, has_sizes)
    elif not bad.intersection(("images", "datasets", "metadata_file")):
        pictures.pictures(config, findings, has_sizes)


def _base(config: TrainConfig, host: Host, findings: Findings) -> None:
    """The checkpoint to train on, and whether the host has to load it first."""
    try:
        findings.base = base.find(config.base_model, host)
        findings.checkpoint = host.checkpoint(findings.base)
    except UserError as error:
        findings.faults.append(str(error))
    else:
        findings.warnings += filter(None, [base.switch_note(findings.base, host)])


def _traps(config: TrainConfig, checkpoint: Checkpoint | None) -> list[str]:
    """Returns what is allowed but rarely meant."""
    from lib_trainer.training.checks import traps

    return traps.warnings_for(config) + ([*traps.of_family(config, checkpoint.family)] if checkpoint else [])
