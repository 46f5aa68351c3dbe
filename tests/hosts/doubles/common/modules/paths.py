"""Double of the WebUIs' folders, under the name that most modules use."""
from __future__ import annotations

from modules.paths_internal import data_path, models_path

__all__ = ["data_path", "models_path"]
