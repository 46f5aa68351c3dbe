"""The settings of a training run: one dataclass, one field per setting.

The fields lie in `settings/`, a file per fold of the form; to add a setting is to add a field there. How written values
become fields is in `config_values.py`, which settings contradict each other in `rules/`; what needs the disk or the
model is in `check.py`.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_trainer.errors import Problems
from lib_trainer.training import config_values
from lib_trainer.training.settings.captions import CaptionSettings
from lib_trainer.training.settings.concepts import ConceptSettings
from lib_trainer.training.settings.copiers import CopierSettings
from lib_trainer.training.settings.data import DataSettings
from lib_trainer.training.settings.logs import LogSettings
from lib_trainer.training.settings.loss import LossSettings
from lib_trainer.training.settings.memory import MemorySettings
from lib_trainer.training.settings.method import MethodSettings
from lib_trainer.training.settings.network import NetworkSettings
from lib_trainer.training.settings.previews import PreviewSettings
from lib_trainer.training.settings.rates import RateSettings
from lib_trainer.training.settings.rounds import RoundSettings
from lib_trainer.training.settings.saving import SavingSettings
from lib_trainer.training.settings.start import StartSettings
from lib_trainer.training.settings.states import StateSettings
from lib_trainer.training.settings.validation import ValidationSettings


@dataclass(frozen=True)
class TrainConfig(
    # The last base's fields come first.
    PreviewSettings, ValidationSettings, LogSettings, StateSettings, SavingSettings, MemorySettings, LossSettings,
    RateSettings, NetworkSettings, CaptionSettings, DataSettings, ConceptSettings, CopierSettings,
    RoundSettings, MethodSettings, StartSettings,
):
    """Everything a person can set. Empty text and 0 mean "automatic" only where the help says so."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Returns the config of values by field name or kohya's name; what is not named keeps its default.

        Raises:
            Problems: unknown names, wrong types, values out of range, settings that contradict each other: all of them.
        """
        config, faults = cls.read(values)
        if faults:
            raise Problems(faults)
        return config

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> tuple[TrainConfig, list[str]]:
        """Returns the config (defaults where a value was unusable) and one sentence per fault.

        For callers that look for further faults before they report all of them together.
        """
        from lib_trainer.training import config_rules

        fields, faults, bad = config_values.read(dataclasses.fields(cls), values)
        config = cls(**fields)
        return config, faults + config_rules.faults(config, bad)

    def to_dict(self) -> dict[str, Any]:
        """Returns all settings by field name, ready for JSON; `from_dict` takes them back."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Reads a TOML or JSON file; sections are only headings.

        Raises:
            UserError: the file is missing or unreadable. Problems: its settings are wrong.
        """
        return cls.from_dict(config_values.read_file(path))

    def dump(self, path: Path) -> None:
        """Writes all settings as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        config_values.write_file(path, self.to_dict())
