"""Whether the name can be a file name everywhere."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.host import TRAINING_NAME

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

FORBIDDEN = '<>:"/\\|?*'
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_LONGEST_NAME = 200
"""Bytes of a name in UTF-8: file systems allow 255, and `-step00000100.safetensors` is added."""


def _name(config: TrainConfig) -> Iterator[str]:
    yield from name_faults(config.name, f"name = {config.name!r}: Name")


def name_faults(name: str, where: str) -> Iterator[str]:
    """Yields why a text cannot be the name of a LoRA file.

    Args:
        name: without its ending.
        where: what the sentences begin with.
    """
    wrong = sorted({sign for sign in name if sign in FORBIDDEN})
    if wrong:
        yield f"{where} becomes a file name and must not contain {' '.join(wrong)}; use letters, digits, - and _."
    if name.endswith("."):
        yield f"{where} must not end with a dot (Windows drops it); take the dot off."
    if name.split(".")[0].strip().lower() in _RESERVED:
        yield f"{where} is reserved by Windows; choose another one."
    if name.lower().endswith(".safetensors"):
        yield f"{where} is written without its ending; take .safetensors off."
    if name == TRAINING_NAME:
        yield f"{where} stands for the LoRA in training; choose another one."
    if len(name.encode("utf8")) > _LONGEST_NAME:
        yield f"{where} is too long for a file name; use at most {_LONGEST_NAME} letters."


RULES: Rules = (
    (_name, ("name",)),
)
