"""What the layers of every kind do to a weight, with gradients: LyCORIS' functions where it has them, else our own.

The names are those of `algorithms.registry`, which reads files of the same kinds.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lib_trainer.lora.adapters import lycoris_forms
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.algorithms.parts import Parts


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        name: as the registry of files has it.
        product: (factors, weight float32) -> the change before alpha / rank; differentiable in the factors.
        rank: factors -> what alpha is divided by, None = alpha does not scale.
        reads_weight: whether the change depends on the weight itself, and not on its shape alone.
        plus: factors that LoRA+ gives the higher rate.
        has_side: whether its files say which side of the weight it scales.
        is_stored: whether the change is a factor itself, so that working it out again in backward saves nothing.
    """

    name: str
    product: Callable[[Parts, Tensor], Tensor]
    rank: Callable[[Parts], int | None]
    reads_weight: bool = False
    plus: tuple[str, ...] = ()
    has_side: bool = False
    is_stored: bool = False


def _of_files(name: str) -> registry.Algorithm:
    return next(algorithm for algorithm in registry.ALGORITHMS if algorithm.name == name)


def _own(
    name: str, reads_weight: bool = False, plus: tuple[str, ...] = (), has_side: bool = False, is_stored: bool = False
) -> Kind:
    """A kind whose mathematics are the ones that files of it are read with."""
    known = _of_files(name)
    return Kind(name, known.product, known.rank, reads_weight, plus, has_side, is_stored)


KINDS = {kind.name: kind for kind in (
    _own("lora", plus=("lora_up.weight",)),
    Kind("loha", lycoris_forms.loha, _of_files("loha").rank),
    Kind("lokr", lycoris_forms.lokr, _of_files("lokr").rank),
    Kind("oft", lycoris_forms.oft, _of_files("oft").rank, reads_weight=True),
    _own("glora", reads_weight=True),
    _own("ia3", reads_weight=True, has_side=True),
    _own("full", is_stored=True),
    _own("norm", is_stored=True),
)}
"""By the registry's name."""
