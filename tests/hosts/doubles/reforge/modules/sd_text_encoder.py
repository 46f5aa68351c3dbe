"""Double of reForge's choice of another text encoder: the checkpoint's own."""
from __future__ import annotations

from typing import Any

current_text_encoder_option: Any = None
