"""What a run without pictures learns from: its prompts, as items of the plan."""
from __future__ import annotations

from lib_trainer.errors import Problems, UserError
from lib_trainer.host_model import Checkpoint
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.methods import concept_items, concept_lines
from lib_trainer.training.rules.data import parse_resolution

FIELDS = ("method", "concepts", "concept_contexts", "concept_action", "concept_guidance", "concepts_file", "batch_size")
"""Settings without which no concepts can be made."""

_TOLD = 3
"""Lines that are named in a sentence."""


def concepts(config: TrainConfig, findings: Findings, sizes_readable: bool = True) -> None:
    """Reads the prompts and makes the data sets of them.

    Args:
        config: the settings.
        findings: with the checkpoint, where there is one; filled.
        sizes_readable: whether the resolution could be read.
    """
    try:
        found = concept_items.rows(config)
    except Problems as error:
        findings.faults += error.problems
        return
    if not found:
        findings.faults.append("Concepts are empty: write what is to be changed, one a line, such as 'hat' or 'open "
                               "eyes -> closed eyes'.")
        return
    if same := concept_lines.empty_of(found):
        findings.faults.append(f"{len(same)} of the concepts ask for what the model says already, so there is nothing "
                               f"to learn: {'; '.join(same[:_TOLD])}. Give two different prompts, and a guidance above "
                               "0.")
        return
    if config.train_text_encoder and any(one.strength != 1.0 for row in found for one in row.concepts):
        findings.faults.append("Sliders (a <-> b) and concepts of another strength than 1 are learned in the U-Net "
                               "alone: switch 'Train text encoder' off.")
    if findings.checkpoint and sizes_readable:
        _sized(config, found, findings.checkpoint, findings)


def _sized(
    config: TrainConfig, found: list[concept_lines.Row], checkpoint: Checkpoint, findings: Findings
) -> None:
    try:
        size = parse_resolution(config.resolution) or (checkpoint.resolution,) * 2
    except UserError:
        return  # told by the rules of the settings
    step = checkpoint.family.bucket_step
    if faults := list(concept_items.unfit_sizes([size, *(row.size for row in found if row.size)], step)):
        findings.faults += faults
        return
    findings.datasets = concept_items.datasets(config, found, size, step)
    findings.items = [item for dataset in findings.datasets for item in dataset.items]
