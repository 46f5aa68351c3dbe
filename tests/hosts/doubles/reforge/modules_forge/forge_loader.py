"""Double of reForge's loaded model: its parts in one of three states."""
from __future__ import annotations

from typing import Any


class ForgeSD:
    def __init__(self, unet: Any, clip: Any, vae: Any, clipvision: Any) -> None:
        self.unet, self.clip, self.vae, self.clipvision = unet, clip, vae, clipvision

    def shallow_copy(self) -> ForgeSD:
        return ForgeSD(self.unet, self.clip, self.vae, self.clipvision)
