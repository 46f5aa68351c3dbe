"""From written values to a config: the fields are read, and rules tell what contradicts; all faults at once."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_trainer.errors import Problems
from lib_trainer.training import config_rules, config_values
from lib_trainer.training.config import TrainConfig


def from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """Returns the config of values by field name or kohya's name; what is not named keeps its default.

    Raises:
        Problems: unknown names, wrong types, values out of range, settings that contradict each other: all of them.
    """
    config, faults = read(values)
    if faults:
        raise Problems(faults)
    return config


def read(values: Mapping[str, Any]) -> tuple[TrainConfig, list[str]]:
    """Returns the config (defaults where a value was unusable) and one sentence per fault.

    For callers that look for further faults before they report all of them together.
    """
    fields, faults, bad = config_values.read(dataclasses.fields(TrainConfig), values)
    config = TrainConfig(**fields)
    return config, faults + config_rules.faults(config, bad)


def load(path: Path) -> TrainConfig:
    """Reads a TOML or JSON file; sections are only headings.

    Raises:
        UserError: the file is missing or unreadable. Problems: its settings are wrong.
    """
    return from_dict(config_values.read_file(path))
