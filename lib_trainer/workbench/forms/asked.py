"""What a sentence about a faulty value of a form needs to know of its field."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """A field, as far as sentences about its value go: its label, and its choices (word -> what the tab calls it)."""

    label: str
    choices: Mapping[str, str]
