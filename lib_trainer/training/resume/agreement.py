"""What must be as it was for a run to go on, and what may have changed.

A state says "these numbers, after so many updates of this plan": whatever decides which numbers there are, in which
order pictures come and what is drawn for them must agree. What acts on coming updates only (rates, length), what says
where and how often files are written, and what trades time for memory may be changed.
"""
from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lib_trainer.data.item import Item
from lib_trainer.data.plan import Plan
from lib_trainer.data.scanning.pairs import sides
from lib_trainer.data.subsets import Subset
from lib_trainer.host_model import Checkpoint
from lib_trainer.training.config import TrainConfig

_FREE_GROUPS = ("Saving", "Resume", "Previews")
_PLACES = frozenset({"name", "images", "reg_images", "datasets", "metadata_file", "mask_folder", "base_model",
                     "after_images"})
_FREE = frozenset({
    # Length and rates: of the updates that come.
    "epochs", "steps", "learning_rate", "unet_lr", "text_encoder_lr", "text_encoder2_lr", "block_lrs", "scheduler",
    "scheduler_args", "warmup", "cycles", "power", "decay", "timescale", "min_lr_ratio", "max_grad_norm",
    "stop_text_encoder", "round_rate", "lora_plus", "lora_plus_unet", "lora_plus_text_encoder",
    # Where pictures and checkpoint lie; that they are the same ones is looked at by itself.
    *_PLACES,
    # Time against memory: the same numbers but for the last bits.
    "gradient_checkpointing", "cache_latents", "cache_to_disk", "cache_captions", "cache_captions_to_disk",
    "vae_batch_size", "offload", "attention", "compile",
    # How often it is looked at.
    "validate_every_steps", "validate_every_epochs", "max_validation_steps", "early_stopping",
    "slider_strengths", "slider_seeds", "slider_prompts",
})
_UNTOLD = frozenset({"resume"})
"""Differs by nature."""

_SHOWN = 3
"""Pictures that are named in a sentence."""


def may_change(field: dataclasses.Field[Any]) -> bool:
    """Whether a setting may differ from the state's."""
    return field.name in _FREE or field.metadata["group"] in _FREE_GROUPS


def settings(before: Mapping[str, Any], now: TrainConfig) -> tuple[list[str], list[str]]:
    """Compares settings; one that the state does not know counts as its default.

    Returns:
        What was changed and may be, and what was changed and must not be: "learning_rate 1e-4 -> 5e-5" each.
    """
    changed: list[str] = []
    forbidden: list[str] = []
    for field in dataclasses.fields(now):
        former, present = before.get(field.name, field.default), getattr(now, field.name)
        if former != present and field.name not in _UNTOLD:
            (changed if may_change(field) else forbidden).append(f"{field.name} {former!r} -> {present!r}")
    return changed, forbidden


def acting(changed: Iterable[str]) -> list[str]:
    """Returns those changes that act on what is learned: what is told in the file and in the log."""
    quiet = {field.name for field in dataclasses.fields(TrainConfig) if field.metadata["group"] in _FREE_GROUPS}
    return [change for change in changed if change.partition(" ")[0] not in quiet | _PLACES]


def pictures(items: Iterable[Item]) -> dict[str, str]:
    """Returns a digest of every picture by its key: caption, size in pixels and bytes, repeats, kind, its partner.

    In the place of pictures there may be prompts: all of what is asked counts, since a file of prompts can be edited.
    """
    return {item.key: _digest(*(fact for one in sides([item]) for fact in (
        one.caption, one.width, one.height, _bytes(one), one.repeats, one.is_reg)),
        *filter(None, [item.subset.concept])) for item in items}


def plan(of: Plan, probes: int = 64) -> str:
    """Returns a digest of how the plan shows pictures: length, rules of the subsets, samples of its first epoch."""
    batches = of.batches(1)
    stride = max(1, len(batches) // probes)
    shown = [(sample.key, sample.caption, sample.size_ids)
             for index in range(0, len(batches), stride) for sample in batches[index].samples]
    subsets = {picture.item.subset for picture in of.pictures}
    return _digest(of.batches_per_epoch, of.samples_per_epoch, shown, sorted(map(_rules, subsets)))


def _rules(subset: Subset) -> str:
    """Returns what a subset asks for, without where it lies."""
    pictures = replace(subset.pictures, mask_folder=None)
    return repr((subset.prefix, subset.repeats, subset.is_reg, subset.loss_weight, subset.keeps_base, subset.captions,
                 pictures))


def data_differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns what differs between two sets of pictures, one sentence each."""
    kinds = {
        "gone": [key for key in before if key not in now],
        "new": [key for key in now if key not in before],
        "changed (the picture, its caption or its repeats)":
            [key for key in now if key in before and before[key] != now[key]],
    }
    return [f"{len(keys)} of the pictures {'is' if len(keys) == 1 else 'are'} {kind}: {_listed(keys)}."
            for kind, keys in kinds.items() if keys]


def base_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns what tells this checkpoint from another one."""
    size = checkpoint.path.stat().st_size if checkpoint.path and checkpoint.path.is_file() else None
    return {"name": checkpoint.name, "family": checkpoint.family.name, "prediction": checkpoint.prediction,
            "bytes": size}


def base_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns why the checkpoint is not the state's, "" when it is."""
    same = all(before.get(key) == now.get(key) for key in ("family", "prediction", "bytes"))
    if same:
        return ""
    return f"it was trained on the checkpoint {before.get('name')}, and now it would be {now.get('name')}"


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")


def _bytes(item: Item) -> int:
    try:
        return item.path.stat().st_size
    except OSError:
        return -1


def _digest(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(repr, parts)).encode("utf8", "surrogatepass")).hexdigest()[:16]
