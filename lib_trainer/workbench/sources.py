"""What goes into a sum of LoRAs: a file, how strongly, and with which block weights. Standard library only."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One LoRA of a sum.

    Attributes:
        path: its file.
        strength: what its change is multiplied with; may be negative: a difference is strengths 1 and -1.
        te, unet: strengths of the text encoders and of the U-Net in the place of `strength`; None = `strength`.
        weights: what stands after the name in a tag, such as "1:lbw=NCNF"; its own strengths multiply the ones above.
            "" = every block alike.
    """

    path: Path
    strength: float = 1.0
    te: float | None = None
    unet: float | None = None
    weights: str = ""
