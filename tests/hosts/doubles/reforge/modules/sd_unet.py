"""Double of reForge's alternative U-Nets: none is active."""
from __future__ import annotations

from typing import Any

current_unet: Any = None
