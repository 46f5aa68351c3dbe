"""Double of Forge's patcher of a U-Net."""
from __future__ import annotations

from backend.patcher.base import ModelPatcher


class UnetPatcher(ModelPatcher):
    pass
