"""What is told about a difference of copiers: the metadata of its file and its card."""
from __future__ import annotations

from collections.abc import Mapping

from lib_trainer.host_model import Checkpoint
from lib_trainer.lora.card import Card
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig

_OF_THE_BASE = ("ss_sd_model_name", "ss_sd_model_hash", "ss_new_sd_model_hash", "ss_clip_skip", "ss_resolution",
                "modelspec.resolution", "modelspec.prediction_type")
_SPECIFIED = ("title", "author", "description", "license", "tags", "usage_hint", "trigger_phrase")
_STRENGTHS = "-1 ... 1: 1 = as in the pictures after, -1 = as in those before"


def facts(
    config: TrainConfig, findings: Findings, made: Mapping[str, str], copier: Mapping[str, str]
) -> dict[str, str]:
    """Returns the metadata of the file: the sum's own, the base, and what the person says; nothing of the pictures.

    Args:
        config, findings: of the training.
        made: metadata of the sum. copier: those of a copier, for its base.
    """
    told = {**made, "ss_output_name": config.name, "modelspec.title": config.name}
    if config.file_metadata == "minimal":
        return told
    told |= {key: copier[key] for key in _OF_THE_BASE if copier.get(key)}
    told |= {f"modelspec.{key}": text for key in _SPECIFIED if (text := getattr(config, key))}
    told.setdefault("modelspec.usage_hint", _STRENGTHS)
    pairs = len(findings.items)
    told["ss_training_comment"] = "; ".join(filter(None, [
        config.comment, f"difference of two copiers of {pairs} pair{'' if pairs == 1 else 's'}"]))
    return told


def card(config: TrainConfig, findings: Findings, checkpoint: Checkpoint) -> Card:
    """Returns what a WebUI shows on the card: no words call it, its strength does."""
    pairs = len(findings.items)
    return Card(
        family=checkpoint.family,
        description=f"Difference of two copiers, trained on {checkpoint.name} with {pairs} pair"
                    f"{'' if pairs == 1 else 's'} of pictures. Strength {_STRENGTHS}.",
        notes="\n".join(filter(None, [
            config.comment, f"rank {config.rank}, alpha {config.alpha:g}; {config.optimizer}, learning rate "
                            f"{config.learning_rate}; seed {config.seed}."])),
    )
