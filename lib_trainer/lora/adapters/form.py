"""How the layers of a network are made: what the settings say beside rank and alpha."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """The form of every layer. Fields that a kind does not take mean nothing to it (`facts.FACTS`).

    Attributes:
        tucker: whether true convolutions are Tucker-decomposed (Yeh et al. 2023).
        scalar: whether one trained number per layer starts at 0 in place of a factor.
        dora, dora_on_output: lengths trained apart from directions, per output or per input (Liu et al. 2024).
        rs_lora: scale alpha / sqrt(rank) (Kalajdzievski 2023, arXiv:2312.03732), stored as alpha * sqrt(rank).
        factor: LoKr: size of the small matrix, -1 = as square as can be.
        decompose_both, full_matrix, unbalanced: LoKr: both halves of low rank; none; the small one with more outputs.
        constraint: OFT, BOFT: bound of the rotation per output, 0 = none. rescaled: a trained length per output.
        unit: DyLoRA: ranks that are trained together.
    """

    tucker: bool = False
    scalar: bool = False
    dora: bool = False
    dora_on_output: bool = True
    rs_lora: bool = False
    factor: int = -1
    decompose_both: bool = False
    full_matrix: bool = False
    unbalanced: bool = False
    constraint: float = 0.0
    rescaled: bool = False
    unit: int = 1


@dataclass(frozen=True)
class Dropout:
    """How much is left out at random while training; 0 = nothing.

    Attributes:
        network: of the entries of the thin activation (Srivastava et al. 2014), the rest times 1/(1-p).
        rank: of the ranks, per sample, the rest times 1/(1-p); of a kind without a thin activation, of the rows of the
            change, for the whole batch.
        module: of the layers, for the whole batch.
    """

    network: float = 0.0
    rank: float = 0.0
    module: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.network or self.rank or self.module)
