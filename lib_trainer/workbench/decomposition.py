"""Singular value decompositions for LoRA layers, without ever forming a product that is not there already.

A LoRA's change is a product of thin factors, up (outputs, r) and down (r, inputs). Its decomposition needs a QR of
each and the decomposition of an (r, r) core (Chan, "An Improved Algorithm for Computing the SVD", 1982): for rank 128
in a 1280x1280 layer some sixtieth of the work of decomposing the product. Of a change that is dense anyhow only the
greatest directions are worked out (`workbench.leading`) where a rank says how many; else it goes by the Gram matrix of
its shorter side, with the kept directions decomposed once more so that nothing of the squaring is left in them.

All is computed in double precision: what full rank gives back differs from what came in by rounding to the file's
dtype alone.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.workbench.leading import leading
from lib_trainer.workbench.reduction import CUMULATIVE, SV_RATIO, Reduction

_LONG = 2
"""From so many times as many rows as columns on, multiplying with the Gram matrix is the cheaper way."""

_NOISE = 1e-13
"""Singular values below this part of the greatest are what double precision leaves of 0."""


class Decomposed(NamedTuple):
    """A change as U diag(s) Vh.

    Attributes:
        left: U (outputs, k), orthonormal columns. values: s, descending, at least the k of the directions, and as
            many more as are known. right: Vh (k, inputs), orthonormal rows. All float64.
        rest: energy (sum of squares) of the values that are not known.
    """

    left: Tensor
    values: Tensor
    right: Tensor
    rest: float = 0.0

    def factors(self, rank: int) -> tuple[Tensor, Tensor]:
        """Returns the best up (outputs, rank) and down (rank, inputs), each with the root of every singular value."""
        roots = self.values[:rank].sqrt()
        return self.left[:, :rank] * roots, roots[:, None] * self.right[:rank]


def device_of(name: str) -> torch.device:
    """Returns where to compute.

    Args:
        name: "auto" (the graphics card when there is one that knows double precision), or a torch device.

    Raises:
        UserError: there is no such device, or it cannot compute in double precision.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=device)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise UserError(f"The device '{name}' cannot be used here ({str(error).splitlines()[0]}). Choose 'auto' or "
                        "'cpu'.") from error
    return device


def of_factors(up: Tensor, down: Tensor) -> Decomposed:
    """Decomposes up @ down.

    Args:
        up: (outputs, r), any float dtype. down: (r, inputs), on the same device.

    Returns:
        k = min(outputs, r, inputs) directions. Values that are rounding beside what was added up are 0: of A - A
        nothing is left.
    """
    up, down = up.double(), down.double()
    left, left_core = torch.linalg.qr(up)
    right, right_core = torch.linalg.qr(down.T)
    core_left, values, core_right = torch.linalg.svd(left_core @ right_core.T, full_matrices=False)
    added = (up.norm(dim=0) * down.norm(dim=1)).sum()  # the size of what may have cancelled out, rank by rank
    return Decomposed(left @ core_left, values * (values > _NOISE * added), core_right @ right.T)


def of_matrix(matrix: Tensor, most_rank: int | None = None, all_values: bool = True) -> Decomposed:
    """Decomposes a dense change.

    Args:
        matrix: (outputs, inputs), any float dtype.
        most_rank: how many directions are wanted at most; None = all.
        all_values: whether the further singular values are wanted as well, for judging ranks.

    Returns:
        The directions wanted, and all singular values, of which the further ones have a noise of about 1e-8 of the
        greatest; or, where they are not wanted and that is faster, their energy alone.
    """
    matrix = matrix.double()
    most = min(matrix.shape) if most_rank is None else min(most_rank, *matrix.shape)
    if 2 * most > min(matrix.shape):
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        return Decomposed(left[:, :most], values, right[:most])
    if matrix.shape[0] < matrix.shape[1]:
        found = _of_tall(matrix.T, most, all_values)
        return found._replace(left=found.right.T, right=found.left.T)
    return _of_tall(matrix, most, all_values)


def _of_tall(matrix: Tensor, most: int, all_values: bool) -> Decomposed:
    """Decomposes a matrix with at least as many rows as columns, by its greatest directions or its Gram matrix."""
    is_long = matrix.shape[0] >= _LONG * matrix.shape[1]
    gram = matrix.T @ matrix if is_long or all_values else None
    directions = None if all_values else leading(matrix, most, gram)
    if directions is None:
        return _by_gram(matrix, most, matrix.T @ matrix if gram is None else gram)
    found = of_factors(matrix @ directions, directions.T)
    return found._replace(rest=max(0.0, float(matrix.square().sum() - found.values.square().sum())))


def _by_gram(matrix: Tensor, most: int, gram: Tensor) -> Decomposed:
    """Decomposes a tall matrix by the Gram matrix of its columns.

    Its eigenvectors span the directions; what the matrix does to these few is decomposed by QR, so that their singular
    values and left sides are as exact as the matrix itself.
    """
    energies, vectors = torch.linalg.eigh(gram)
    directions = vectors[:, -most:]
    left, values, right, _ = of_factors(matrix @ directions, directions.T)
    further = energies[:-most].flip(0).clamp_min(0.0).sqrt()
    return Decomposed(left, torch.cat((values, further)), right)


def rank_of(values: Tensor, reduction: Reduction, conv: bool, rest: float = 0.0) -> int:
    """Returns how many singular values a layer keeps: what the reduction asks for, never fewer than 1.

    Directions that are 0 but for rounding are never kept: they would be random, and act nowhere.

    Args:
        values: descending, >= 0, at least one.
        reduction: of the kind "svd".
        conv: whether the layer has a kernel greater than 1x1.
        rest: energy of further values, which are beyond the rank's bound anyhow.
    """
    wanted = [numerical_rank(values)]
    limit = reduction.limit(conv)
    if limit is not None:
        wanted.append(limit)
    if reduction.dynamic:
        assert reduction.threshold is not None  # checked before
        wanted.append(_dynamic_rank(values, reduction.dynamic, reduction.threshold, rest))
    return max(1, min(wanted))


def numerical_rank(values: Tensor) -> int:
    """Returns how many singular values are more than the rounding of double precision; 0 for a change of zeros.

    The first that is not ends the count: those after the exact ones may be noise of the Gram matrix, which is greater.
    """
    return int((values > _NOISE * values[0]).int().cumprod(0).sum())


def _dynamic_rank(values: Tensor, dynamic: str, threshold: float, rest: float) -> int:
    if dynamic == SV_RATIO:
        return int((values > values[0] / threshold).sum())
    sizes, wanted = (values, threshold) if dynamic == CUMULATIVE else (values.square(), threshold**2)
    reached = sizes.cumsum(0)
    return int((reached < wanted * (reached[-1] + rest)).sum()) + 1


def energies(values: Tensor, rank: int, rest: float = 0.0) -> tuple[float, float]:
    """Returns the squared Frobenius norm of what a rank keeps, and of all; `rest` = that of further values."""
    squares = values.square()
    return float(squares[:rank].sum()), float(squares.sum()) + rest


def retained(values: Tensor, rank: int) -> float:
    """Returns the part of the energy (squared Frobenius norm) that a rank keeps, 0 to 1; of nothing, all."""
    kept, total = energies(values, rank)
    return kept / total if total else 1.0
