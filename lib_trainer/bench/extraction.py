"""What an extraction costs for each layer, by the workbench and by the usual way, on layers of SD 1.5's true sizes.

The usual way is the decomposition of the whole matrix with all its directions, in single precision. Both are given
the same differences, made of a change that falls off and of a little noise, as a fine-tuning leaves; they take turns
in one process, and the shapes are added up over the layers that a LoRA of the U-Net's attention has. How much of the
energy each keeps stands beside it.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.bench.short_run import Report
from lib_trainer.bench.workbench import Cost, cost_of, median
from lib_trainer.workbench.decomposition import of_matrix

LAYERS: dict[tuple[int, int], int] = {
    (320, 320): 40, (320, 768): 10, (2560, 320): 5, (320, 1280): 5,
    (640, 640): 40, (640, 768): 10, (5120, 640): 5, (640, 2560): 5,
    (1280, 1280): 48, (1280, 768): 12, (10240, 1280): 6, (1280, 5120): 6,
}
"""(outputs, inputs) -> how many: 192 layers of the U-Net's transformers, with their projections."""

_NOISE = 0.02
"""Length of a number of the noise, where the strongest direction of the change has 1."""


@dataclass(frozen=True)
class ShapeCost:
    """A layer's cost both ways, how many such layers there are, and the part of its energy that each way keeps."""

    outputs: int
    inputs: int
    layers: int
    ours: Cost
    usual: Cost
    kept: float
    usual_kept: float


@dataclass(frozen=True)
class ExtractionCosts:
    """What was measured.

    Attributes:
        rank: that is kept. threads: that torch computed with.
        shapes: by layer shape. ours, usual: for all layers, added up from the shapes.
        ratio, processor_ratio: usual / ours, by the clock and of the processors.
    """

    rank: int
    threads: int
    shapes: list[ShapeCost]
    ours: Cost
    usual: Cost
    ratio: float
    processor_ratio: float

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON-ready values."""
        return asdict(self)


def measure(
    report: Report, rank: int = 32, rounds: int = 1, layers: dict[tuple[int, int], int] | None = None
) -> ExtractionCosts:
    """Measures both ways.

    Args:
        report: told what is being measured.
        rank: to be kept. rounds: how often the two ways take turns for each shape.
        layers: shapes and their numbers; None = SD 1.5's.
    """
    shapes = []
    ours, usual = Cost(0, 0), Cost(0, 0)
    for (outputs, inputs), count in (LAYERS if layers is None else layers).items():
        cost = _of_shape(outputs, inputs, count, rank, rounds)
        ours, usual = ours.plus(cost.ours.times(count)), usual.plus(cost.usual.times(count))
        shapes.append(cost)
        report(f"{outputs}x{inputs}: {cost.ours.clock * 1000:.0f} ms here, {cost.usual.clock * 1000:.0f} ms the usual "
               "way")
    return ExtractionCosts(rank, torch.get_num_threads(), shapes, ours, usual, usual.clock / ours.clock,
                           usual.processor / ours.processor)


def _of_shape(outputs: int, inputs: int, count: int, rank: int, rounds: int) -> ShapeCost:
    change = _change(outputs, inputs)
    kept = [1.0 - float((change - found).square().sum() / change.square().sum())  # first, so that all is warm
            for found in (_here(change, rank), _usual(change, rank).double())]
    turns = [(cost_of(lambda: _here(change, rank)), cost_of(lambda: _usual(change, rank))) for _ in range(rounds)]
    ours, usual = (median(costs) for costs in zip(*turns, strict=True))
    return ShapeCost(outputs, inputs, count, ours, usual, *kept)


def _change(outputs: int, inputs: int) -> Tensor:
    """Returns a change of rank 64 that falls off, and noise; float64."""
    generator = seeds.torch_generator(0, "bench extraction", outputs, inputs)
    rank = min(64, outputs, inputs)
    up = torch.randn(outputs, rank, dtype=torch.float64, generator=generator) * torch.linspace(1, 0.05, rank)
    down = torch.randn(rank, inputs, dtype=torch.float64, generator=generator)
    noise = torch.randn(outputs, inputs, dtype=torch.float64, generator=generator)
    return up @ down / rank**0.5 + _NOISE * noise


def _here(change: Tensor, rank: int) -> Tensor:
    """What the workbench does with a layer's difference."""
    found = of_matrix(change, rank, all_values=False)
    up, down = found.factors(rank)
    return up @ down


def _usual(change: Tensor, rank: int) -> Tensor:
    """The usual way: all directions of both sides, in single precision."""
    left, values, right = torch.linalg.svd(change.float())
    return (left[:, :rank] * values[:rank]) @ right[:rank]
