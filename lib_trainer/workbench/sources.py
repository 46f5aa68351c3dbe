"""What goes into a sum of LoRAs: a file, how strongly, and with which block weights. Standard library only."""
from __future__ import annotations

import math
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

    def faults(self) -> list[str]:
        """Returns a sentence for every strength that is no number."""
        return [f"The strength of '{self.path.name}' is {strength}. Give a number."
                for strength in (self.strength, self.te, self.unet)
                if strength is not None and not math.isfinite(strength)]
