"""The greatest singular directions of a dense matrix alone: a block Krylov method, as exact as the whole decomposition.

A LoRA of rank 32 needs 32 directions of a matrix that has 1280. The space that a few random vectors span, multiplied
with A^T A again and again, holds the greatest of them ever more exactly (Musco and Musco, "Randomized Block Krylov
Methods for Stronger and Faster Approximate Singular Value Decomposition", 2015), the faster the more the values differ.
Every step is checked: it ends when another one finds no more energy than single precision would round away, and gives
up where that takes as long as the whole decomposition, as in matrices of noise.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lib_trainer import seeds

_CONVERGED = 1e-13
"""Part of the whole energy that the last step may have found: 3e-7 of the norm, what single precision rounds."""

_HOPELESS = 1e-7
"""Part of it that is too much to be found at half the way."""

_LEAST_COLUMNS = 1024
"""Below this the whole decomposition costs next to nothing."""

_WIDTH = 16
"""Columns of a step."""

_ORTHONORMAL = 1e-10


def leading(matrix: Tensor, most: int, gram: Tensor | None = None) -> Tensor | None:
    """Returns the greatest directions.

    Args:
        matrix: A, (rows, columns), float64, at least as many rows as columns.
        most: how many directions are wanted, at least 1.
        gram: A^T A, (columns, columns), where it is at hand.

    Returns:
        (columns, most), orthonormal columns; None where the whole decomposition is the better way.
    """
    columns = matrix.shape[1]
    if columns < _LEAST_COLUMNS or most > columns // 32:
        return None

    def times(some: Tensor) -> Tensor:
        return matrix.T @ (matrix @ some) if gram is None else gram @ some

    return _found(times, _start(matrix), most, columns // 5, float(matrix.square().sum()))


def _found(times: Callable[[Tensor], Tensor], basis: Tensor, most: int, room: int, whole: float) -> Tensor | None:
    """Widens a basis until the wanted directions are in it.

    Args:
        times: multiplies with A^T A. basis: the first columns. room: how many columns it may get. whole: energy of A.
    """
    images, kept = times(basis), 0.0
    while basis.shape[1] + _WIDTH <= room:
        fresh = _beside(basis, images[:, -_WIDTH:])
        basis, images = torch.cat((basis, fresh), 1), torch.cat((images, times(fresh)), 1)
        if basis.shape[1] < most + _WIDTH:
            continue
        energies, turned = torch.linalg.eigh(basis.T @ images)
        found, kept = float(energies[-most:].sum()) - kept, float(energies[-most:].sum())
        if found <= _CONVERGED * whole:
            return basis @ turned[:, -most:] if _is_orthonormal(basis) else None
        if 2 * basis.shape[1] > most + room and found > _HOPELESS * whole:
            return None
    return None


def _start(matrix: Tensor) -> Tensor:
    """Returns random orthonormal columns, the same for every matrix of a size."""
    generator = seeds.torch_generator(0, "leading directions", matrix.shape[1])
    drawn = torch.randn(matrix.shape[1], _WIDTH, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(drawn.to(matrix.device))[0]


def _beside(basis: Tensor, fresh: Tensor) -> Tensor:
    """Returns an orthonormal basis of what is new, or of anything where nothing is: the matrix has no more directions.
    """
    for _ in range(3):  # once for what is new, and twice for the rounding of what is nearly nothing
        fresh = torch.linalg.qr(fresh - basis @ (basis.T @ fresh))[0]
    return fresh


def _is_orthonormal(basis: Tensor) -> bool:
    one = torch.eye(basis.shape[1], dtype=basis.dtype, device=basis.device)
    return float((basis.T @ basis - one).abs().max()) < _ORTHONORMAL
