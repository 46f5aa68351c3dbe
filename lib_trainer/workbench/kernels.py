"""Which layers are convolutions, told from their names: a LoHa or LoKr file may store a kernel flat and hide its size.

True of SD 1.x, SD 2.x and SDXL alike, but for the projections around the transformers, which are 1x1 convolutions in
SD 1.x and matrices in SDXL; SD 2.x has both builds, so there nothing is told. Standard library only.
"""
from __future__ import annotations

import re

from lib_trainer.blocks.layers import is_text_encoder
from lib_trainer.blocks.spelling import usual_name

_WIDE = re.compile(r"input_blocks_0_0|out_2|.*_(in_layers_2|out_layers_3|op|conv)")
_NARROW = re.compile(r".*_skip_connection")
_PROJECTION = re.compile(r".*_1_proj_(in|out)")


def kernel_of(layer: str, family: str | None) -> tuple[int, ...] | None:
    """Returns (3, 3) or (1, 1) for a convolution, () for a matrix, None where the name does not tell.

    Args:
        layer: kohya layer name. family: "sd1", "sd2", "sdxl"; None = not known.
    """
    if is_text_encoder(layer):
        return ()
    path = usual_name(layer)
    if _WIDE.fullmatch(path):
        return (3, 3)
    if _NARROW.fullmatch(path):
        return (1, 1)
    if _PROJECTION.fullmatch(path):
        return {"sd1": (1, 1), "sdxl": ()}.get(family or "")
    return ()
