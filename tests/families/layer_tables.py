"""The layers of real LoRA files by family: names and shapes of the factors (rank 8, conv rank 4) as sd-scripts wrote
them. Files hold runs such as `encoder_layers_{0..11}_`, written out here.
"""
from __future__ import annotations

import json
import re
from pathlib import Path

Shapes = dict[str, tuple[list[int], list[int]]]
"""Layer -> shapes of down and up."""

_RUN = re.compile(r"\{0\.\.(\d+)\}")


def read(family: str, part: str) -> Shapes:
    """Returns a table.

    Args:
        family: "sd15", "sd2" or "sdxl".
        part: "lierla" (all layers of a plain LoRA), "c3lier_adds" (what a conv rank adds) or, of SD 2.x,
            "linear_projections" (layers whose factors are 2-D where the projections are Linear).
    """
    tables = json.loads((Path(__file__).parents[1] / "data" / f"{family}_lora_shapes.json").read_text("utf8"))
    found: Shapes = {}
    for pattern, shapes in tables[part].items():
        run = _RUN.search(pattern)
        for number in range(int(run[1]) + 1) if run else [0]:
            found[_RUN.sub(str(number), pattern)] = shapes
    return found
