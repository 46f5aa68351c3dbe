"""Decompositions against numpy's of the whole product, and the ranks that are chosen from singular values."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.workbench.decomposition import (
    Decomposed,
    device_of,
    energies,
    numerical_rank,
    of_factors,
    of_matrix,
    rank_of,
    retained,
)
from lib_trainer.workbench.reduction import Reduction

ROUNDING = 1e-12
"""Double precision leaves about 1e-16 of a product of these sizes; a thousandfold stands for the solvers."""


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def put_together(found: Decomposed) -> torch.Tensor:
    kept = found.left.shape[1]
    return found.left @ torch.diag(found.values[:kept]) @ found.right


def is_decomposition(found: Decomposed) -> bool:
    one = torch.eye(found.left.shape[1], dtype=torch.float64)
    straight = max(float((found.left.T @ found.left - one).norm()), float((found.right @ found.right.T - one).norm()))
    return straight < ROUNDING and bool((found.values.diff() <= 0).all())


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_factors_give_what_the_product_gives(outputs: int, inputs: int, rank: int) -> None:
    up, down = drawn(outputs, rank), drawn(rank, inputs, seed=1)
    found, product = of_factors(up, down), (up @ down).numpy()
    expected = np.linalg.svd(product, compute_uv=False)[:len(found.values)]
    assert is_decomposition(found)
    assert np.allclose(found.values, expected, rtol=0, atol=ROUNDING * expected[0])
    assert np.allclose(put_together(found), product, rtol=0, atol=ROUNDING * expected[0])


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (20, 20)])
@pytest.mark.parametrize("most", [1, 4, 11, None])
def test_a_matrix_gives_its_best_approximation(shape: tuple[int, int], most: int | None) -> None:
    matrix = drawn(*shape)
    found, (left, values, right) = of_matrix(matrix, most), np.linalg.svd(matrix.numpy(), full_matrices=False)
    kept = most or min(shape)
    assert is_decomposition(found) and found.left.shape == (shape[0], kept)
    assert np.allclose(found.values, values, rtol=0, atol=1e-7 * values[0])  # beyond the kept ones Gram's root of 1e-16
    assert np.allclose(found.values[:kept], values[:kept], rtol=0, atol=ROUNDING * values[0])
    best = left[:, :kept] @ np.diag(values[:kept]) @ right[:kept]
    assert np.allclose(put_together(found), best, rtol=0, atol=1e-10)


def test_the_kept_directions_of_a_steep_matrix_are_exact() -> None:
    """Over five decades: the Gram matrix alone, which squares them, would lose most digits of the small ones."""
    left, right = torch.linalg.qr(drawn(30, 16)).Q, torch.linalg.qr(drawn(16, 16, seed=1)).Q
    values = torch.logspace(0, -5, 16, dtype=torch.float64)
    found = of_matrix(left @ torch.diag(values) @ right, 8)
    assert torch.allclose(found.values[:8], values[:8], rtol=1e-9)


def test_factors_are_balanced() -> None:
    up, down = of_factors(drawn(9, 4), drawn(4, 7, seed=1)).factors(3)
    assert torch.allclose(up.norm(dim=0), down.norm(dim=1)) and up.shape == (9, 3) and down.shape == (3, 7)


VALUES = torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0], dtype=torch.float64)


@pytest.mark.parametrize(("more", "expected"), [
    ({"rank": 3}, 3), ({"rank": 99}, 5), ({"rank": 1}, 1),
    ({"dynamic": "sv_ratio", "threshold": 4.0}, 2),  # greater than 8 / 4, not at least
    ({"dynamic": "sv_ratio", "threshold": 4.1}, 3), ({"dynamic": "sv_ratio", "threshold": 1.5}, 1),
    ({"dynamic": "cumulative", "threshold": 12 / 16}, 2), ({"dynamic": "cumulative", "threshold": 0.76}, 3),
    ({"dynamic": "cumulative", "threshold": 0.01}, 1), ({"dynamic": "cumulative", "threshold": 1.0}, 5),
    ({"dynamic": "frobenius", "threshold": (80 / 86) ** 0.5 - 1e-9}, 2),
    ({"dynamic": "frobenius", "threshold": 0.97}, 3), ({"dynamic": "frobenius", "threshold": 1.0}, 5),
    ({"dynamic": "cumulative", "threshold": 1.0, "rank": 2}, 2),
])
def test_ranks_are_what_was_asked_for(more: dict[str, object], expected: int) -> None:
    assert rank_of(VALUES, Reduction("svd", **more), conv=False) == expected  # type: ignore[arg-type]


def test_kernels_have_a_rank_of_their_own() -> None:
    reduction = Reduction("svd", 4, 2)
    assert (rank_of(VALUES, reduction, conv=False), rank_of(VALUES, reduction, conv=True)) == (4, 2)
    assert rank_of(VALUES, Reduction("svd", 4), conv=True) == 4


def test_what_is_only_rounding_is_never_kept() -> None:
    assert rank_of(torch.tensor([1.0, 0.5, 1e-16]), Reduction("svd", 3), conv=False) == 2
    assert rank_of(torch.zeros(3), Reduction("svd", 3), conv=False) == 1
    assert numerical_rank(torch.zeros(3)) == 0
    thin = drawn(64, 2) @ drawn(2, 64, seed=1)
    for most in (8, None):  # by the Gram matrix, and as it is
        assert rank_of(of_matrix(thin, most).values, Reduction("svd", 8), conv=False) == 2


def test_retained_energy() -> None:
    assert energies(VALUES, 2) == (80.0, 86.0)
    assert retained(VALUES, 2) == 80 / 86 and retained(torch.zeros(2), 1) == 1.0


@pytest.mark.parametrize(("reduction", "sentence"), [
    (Reduction("pca"), "'pca' is none of exact and svd"),
    (Reduction("exact", 4), "rank = 4: it counts for the reduction 'svd' only"),
    (Reduction("svd"), "rank is not given"),
    (Reduction("svd", 0, -1), "(?s)rank = 0: .*conv_rank = -1: give at least 1"),
    (Reduction("svd", 4, dynamic="best"), "'best' is none of sv_ratio"),
    (Reduction("svd", 4, threshold=0.5), "which is off"),
    (Reduction("svd", 4, dynamic="cumulative"), "threshold is not given, and dynamic = cumulative"),
    (Reduction("svd", 4, dynamic="cumulative", threshold=1.5), "at most 1"),
    (Reduction("svd", 4, dynamic="sv_ratio", threshold=1.0), "more than 1"),
    (Reduction("svd", 4, dynamic="frobenius", threshold=float("nan")), "threshold = nan: give a number"),
])
def test_contradictions_are_told(reduction: Reduction, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        reduction.check()


def test_reductions_in_words() -> None:
    Reduction("svd", 8, 4, "frobenius", 0.9).check()
    assert Reduction("svd", 8, 4, "frobenius", 0.9).in_words() == "svd, rank 8, conv_rank 4, frobenius 0.9"
    assert Reduction().in_words() == "exact"


@pytest.mark.parametrize(("kind", "rank", "shape"), [
    ("falls off", 24, (1024, 2112)), ("of few", 16, (1088, 1030)), ("noise", 24, (1024, 1024)),
    ("nothing", 8, (1024, 1024)),
])
def test_the_greatest_directions_are_those_of_the_whole_decomposition(
    kind: str, rank: int, shape: tuple[int, int]
) -> None:
    """The two ways of a great matrix keep the same to what double precision rounds; noise goes the whole way."""
    few = {"falls off": 64, "of few": 10}.get(kind, 0)
    up, down = drawn(shape[0], few, seed=1) * torch.linspace(1, 0.05, few), drawn(few, shape[1], seed=2)
    loud = {"falls off": 0.02, "noise": 1.0}.get(kind, 0.0)
    matrix = up @ down + (loud * drawn(*shape, seed=3) if loud else 0.0)
    whole, greatest = of_matrix(matrix, rank), of_matrix(matrix, rank, all_values=False)
    assert (len(greatest.values) == rank) == (kind != "noise")
    energy, other = energies(whole.values, rank), energies(greatest.values, rank, greatest.rest)
    assert other == pytest.approx(energy, rel=1e-9)
    assert (whole.values[:rank] - greatest.values[:rank]).abs().max() <= 1e-7 * float(whole.values[0])
    for found in (whole, greatest):
        up, down = found.factors(rank)
        lost = float((matrix - up @ down).square().sum())
        assert lost == pytest.approx(energy[1] - energy[0], rel=1e-9, abs=1e-12 * energy[1] + 1e-300)
    for reduction in (Reduction("svd", rank), Reduction("svd", rank, dynamic="sv_ratio", threshold=3.0),
                      Reduction("svd", rank, dynamic="frobenius", threshold=0.6)):
        assert rank_of(whole.values, reduction, conv=False) == rank_of(
            greatest.values, reduction, conv=False, rest=greatest.rest)


def test_devices() -> None:
    assert device_of("cpu").type == "cpu" and device_of("auto").type in ("cpu", "cuda")
    with pytest.raises(UserError, match="'nothing' cannot be used here"):
        device_of("nothing")
