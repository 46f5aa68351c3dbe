"""The settings of a training run: one dataclass, one field per setting.

The fields lie in `settings/`, a file per fold of the form; to add a setting is to add a field there. How written values
become a config is in `config_reading.py`, which settings contradict each other in `rules/`; what needs the disk or the
model is in `check.py`.
"""
from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from lib_trainer.training.settings.slider import SliderSettings
from lib_trainer.training.settings.start import StartSettings
from lib_trainer.training.settings.states import StateSettings
from lib_trainer.training.settings.validation import ValidationSettings


@dataclass(frozen=True)
class TrainConfig(
    # The last base's fields come first.
    PreviewSettings, ValidationSettings, LogSettings, StateSettings, SavingSettings, MemorySettings, LossSettings,
    RateSettings, NetworkSettings, CaptionSettings, DataSettings, SliderSettings, ConceptSettings,
    CopierSettings, RoundSettings, MethodSettings, StartSettings,
):
    """Everything a person can set. Empty text and 0 mean "automatic" only where the help says so."""

    def to_dict(self) -> dict[str, Any]:
        """Returns all settings by field name, ready for JSON; `config_reading.from_dict` takes them back."""
        return dataclasses.asdict(self)

    def dump(self, path: Path) -> None:
        """Writes all settings as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        config_values.write_file(path, self.to_dict())
