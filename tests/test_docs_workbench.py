"""The page about the workbench: its tables hold what is computed here, against double precision."""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lib_trainer.lora import file
from lib_trainer.workbench import resize
from lib_trainer.workbench.operation import finish
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.resize import ResizeOrder
from lib_trainer.workbench.sources import Source
from tests.lora.models import ATTENTION, KERNEL, PROJECTION
from tests.workbench import algebra
from tests.workbench.algebra import EXACT, drawn, merged, plain, summed, written

PAGE = (Path(__file__).parents[1] / "docs" / "WORKBENCH.md").read_text(encoding="utf8")
LAYERS = (ATTENTION, PROJECTION, KERNEL)
A, B = (plain(8, 8.0, seed, LAYERS, 64, 48) for seed in (1, 2))


def rows() -> Iterator[list[str]]:
    for line in PAGE.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def ours(beginning: str) -> str:
    """Returns the cell of our number in the row that begins so."""
    return next(row[1] for row in rows() if row[0].startswith(beginning))


def product(tensors: dict[str, Tensor], layer: str) -> Tensor:
    up, down = (tensors[f"{layer}.lora_{side}.weight"].double().flatten(1) for side in ("up", "down"))
    return up @ down * (float(tensors[f"{layer}.alpha"]) / down.shape[0])


def worst(tensors: dict[str, Tensor], one: float, other: float) -> float:
    """Returns the greatest relative error of a layer, as a sum of A and B."""
    true = {layer: one * product(A, layer) + other * product(B, layer) for layer in LAYERS}
    return max(float((product(tensors, layer) - true[layer]).norm() / true[layer].norm()) for layer in LAYERS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("page")
    written(found / "a.safetensors", A)
    written(found / "b.safetensors", B)
    return found


def added(folder: Path, out: str, one: float, other: float, **more: Any) -> dict[str, Tensor]:
    a, b = Source(folder / "a.safetensors", one), Source(folder / "b.safetensors", other)
    return merged(folder / out, a, b, **more)[0]


def test_errors_of_sums(folder: Path) -> None:
    full = Reduction("svd", 16)
    found = {
        "A + B, exact": worst(added(folder, "1.safetensors", 1, 1), 1, 1),
        "A - B, exact": worst(added(folder, "2.safetensors", 1, -1), 1, -1),
        "A at 0.3": worst(added(folder, "3.safetensors", 0.3, 0), 0.3, 0),
        "A + B, SVD to the full rank": worst(added(folder, "4.safetensors", 1, 1, reduction=full), 1, 1),
        "A + B, exact, shuffled": worst(added(folder, "6.safetensors", 1, 1, shuffle=True), 1, 1),
    }
    back = merged(folder / "5.safetensors", Source(folder / "1.safetensors"), Source(folder / "b.safetensors", -1))[0]
    found["(A + B) - B"] = worst(back, 1, 0)
    for beginning, error in found.items():
        # What another processor's order of adding makes of rounding stays within a few times of what is printed.
        assert error < EXACT and error <= 4 * float(ours(beginning)), f"{beginning}: {error:.1e}"


def test_reduced_sums_are_the_best_of_their_rank(folder: Path) -> None:
    tensors = added(folder, "7.safetensors", 1, 1, reduction=Reduction("svd", 4))
    errors = []
    for layer in LAYERS:
        true = product(A, layer) + product(B, layer)
        values = torch.linalg.svdvals(true)
        best = float(values[4:].norm() / values.norm())
        assert float((product(tensors, layer) - true).norm() / true.norm()) == pytest.approx(best, rel=EXACT)
        errors.append(f"{best:.3f}")
    assert ours("A + B, SVD to rank 4") == ", ".join(errors)


def test_ranks(folder: Path) -> None:
    for number, (beginning, reduction) in enumerate((
        ("A resized to rank 4, kernels to 2", Reduction("svd", 4, 2)),
        ("A resized by sv_cumulative 0.5", Reduction("svd", 8, dynamic="cumulative", threshold=0.5)),
    )):
        out = folder / f"r{number}.safetensors"
        finish(resize.run(ResizeOrder(folder / "a.safetensors", out, reduction, device="cpu")))
        tensors = file.load(out).tensors
        assert ours(beginning) == ", ".join(str(tensors[f"{layer}.lora_down.weight"].shape[0]) for layer in LAYERS)


def test_errors_of_kinds(tmp_path: Path) -> None:
    base = algebra.base_file(tmp_path)
    told = {row[0]: float(row[2]) for row in rows() if len(row) == 3 and re.fullmatch(r"[\d.]+e-\d+", row[2])}
    names = {"LoRA": "lora", "LoCon with Tucker's core": "tucker", "LoHa": "loha", "LoKr": "lokr_both",
             "GLoRA": "glora", "OFT": "oft", "BOFT": "boft", "(IA)3": "ia3", "DoRA": "dora_out", "full": "full_b",
             "norms": "norm"}
    assert set(told) == set(names)
    other = plain(2, 3.0, 9)
    second = written(tmp_path / "second.safetensors", other)
    for name, kind in names.items():
        one = drawn(kind)
        first = written(tmp_path / f"{kind}.safetensors", one)
        tensors, _ = merged(
            tmp_path / f"{kind}_sum.safetensors", Source(first, 0.7), Source(second, -1.3), base=base)
        error = algebra.error(tensors, summed((0.7, one), (-1.3, other)))
        assert error < EXACT and error <= 4 * told[name], f"{name}: {error:.1e}"
