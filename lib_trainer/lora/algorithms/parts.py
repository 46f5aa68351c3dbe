"""The tensors of one layer of a LoRA file, made ready for arithmetic: float32 factors, plain numbers, dense terms.

A layer is everything in the file that stands before the same first dot: `alpha`, the factors of its algorithm, and
what any algorithm may carry beside them (`dora_scale`, `diff_b`, `bias`).
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib_trainer.errors import UserError

ALPHA, SCALE, ON_INPUT = "alpha", "scale", "on_input"
NUMBERS = (ALPHA, SCALE, ON_INPUT)
"""Parts that are one number each."""

BIAS = "bias"
SPARSE_BIAS = ("bias_indices", "bias_values", "bias_size")
"""LyCORIS' extraction stores the rest that a low rank cannot hold: coordinates (3, n), values (n), shape."""


@dataclass(frozen=True)
class Parts:
    """One layer's tensors.

    Attributes:
        names: all parts that the file has for this layer.
        tensors: the factors by their name after the layer's, float32, on one device.
        alpha, scale: numbers that set the strength; None = the file has none.
        on_input: whether (IA)3 scales the inputs.
    """

    names: frozenset[str]
    tensors: dict[str, Tensor]
    alpha: float | None = None
    scale: float | None = None
    on_input: bool = False

    def __getitem__(self, part: str) -> Tensor:
        return self.tensors[part]

    def get(self, part: str) -> Tensor | None:
        """Returns a factor, None where the file has none."""
        return self.tensors.get(part)

    def matrix(self, part: str) -> Tensor:
        """Returns a factor as (rows, everything else): files write 1x1 kernels and flat kernels alike."""
        return self.tensors[part].flatten(1)

    def factor(self, rank: int | None) -> float:
        """Returns what the product of the factors is multiplied with: `scale` itself, else alpha / rank, else 1.

        Args:
            rank: the inner dimension, None for an algorithm (or a layer) that has none: then alpha means nothing.
        """
        if self.scale is not None:
            return self.scale
        return 1.0 if rank is None or self.alpha is None else self.alpha / rank

    def to_double(self) -> Parts:
        """Returns the same in float64: what is written into files is rounded once."""
        return replace(self, tensors={part: tensor.double() for part, tensor in self.tensors.items()})

    def to_meta(self) -> Parts:
        """Returns the same without numbers: whether shapes fit is found out without computing anything."""
        shapes = {part: tensor.to("meta") for part, tensor in self.tensors.items()}
        return Parts(self.names, shapes, self.alpha, self.scale, self.on_input)


def read(stored: Mapping[str, Tensor], device: torch.device | str = "cpu") -> Parts:
    """Makes the tensors of a layer ready.

    Args:
        stored: part name -> tensor as the file holds it, any dtype.
        device: where the arithmetic will be done.

    Raises:
        UserError: a sparse term does not fit itself.
    """
    numbers = {part: float(stored[part].float().flatten()[0]) for part in NUMBERS if part in stored}
    tensors = {
        part: tensor.detach().to(device, torch.float32)
        for part, tensor in stored.items() if part not in (*NUMBERS, *SPARSE_BIAS)
    }
    if all(part in stored for part in SPARSE_BIAS):
        tensors[BIAS] = _dense(*(stored[part] for part in SPARSE_BIAS)).to(device)
    on_input = bool(numbers.get(ON_INPUT, 0.0))
    return Parts(frozenset(stored), tensors, numbers.get(ALPHA), numbers.get(SCALE), on_input)


def _dense(indices: Tensor, values: Tensor, size: Tensor) -> Tensor:
    """Returns the sparse term as a dense one, filled by hand: torch's sparse tensors trust a file's coordinates."""
    try:
        dense = torch.zeros(size.long().tolist())
        return dense.index_put_(tuple(indices.long()), values.float(), accumulate=True)
    except (IndexError, RuntimeError) as error:
        raise UserError(f"The LoRA's '{SPARSE_BIAS[0]}' do not fit its '{SPARSE_BIAS[2]}' ({error}): the file is "
                        "damaged. Use an intact copy.") from error
