"""By which method is trained, and what only one of them asks for."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting

METHODS = ("lora",)
"""Names of the methods; what they do is in `training/methods/registry.py`."""


@dataclass(frozen=True)
class MethodSettings:
    """The fold "Method"."""

    method: str = setting("lora", "Method", "What is learned. lora = what the pictures show.", "Method",
        choices=METHODS)
