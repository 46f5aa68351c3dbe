"""What a resize by singular values costs, by the factors and by the product, on layers of SDXL's true sizes.

Both ways are measured in turns in one process, layer shape by layer shape, and added up over all layers that a LoRA of
SDXL with both text encoders has. The dense way is the usual one: multiply the factors out in single precision,
decompose the product, keep the best part. Then a whole file of these layers is resized, with reading and writing.

Beside the clock's time stands that of the processors, which other programs on the machine change less.
"""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.bench.short_run import Report
from lib_trainer.lora import file
from lib_trainer.workbench import factors, layer_sum, resize, written
from lib_trainer.workbench.layer_sum import Weighted
from lib_trainer.workbench.operation import finish
from lib_trainer.workbench.reduction import SVD, Reduction
from lib_trainer.workbench.resize import ResizeOrder
from lib_trainer.workbench.written import Style

LAYERS: dict[tuple[int, int], int] = {
    (640, 640): 70, (640, 2048): 20, (5120, 640): 10, (640, 2560): 10,
    (1280, 1280): 372 + 128, (1280, 2048): 120, (10240, 1280): 60, (1280, 5120): 60 + 32,
    (768, 768): 48, (3072, 768): 12, (768, 3072): 12, (5120, 1280): 32,
}
"""(outputs, inputs) -> how many: 722 layers of the U-Net's transformers, 72 and 192 of the text encoders."""

_NAME = "lora_unet_input_blocks_7_1_transformer_blocks_{}_attn1_to_q"


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of the processors that the process had."""

    clock: float
    processor: float

    def times(self, number: float) -> Cost:
        """Returns the cost of the same several times."""
        return Cost(self.clock * number, self.processor * number)

    def plus(self, other: Cost) -> Cost:
        """Returns the cost of both."""
        return Cost(self.clock + other.clock, self.processor + other.processor)


@dataclass(frozen=True)
class ShapeCost:
    """A layer's cost by the factors and by the product, and how many such layers there are."""

    outputs: int
    inputs: int
    layers: int
    factors: Cost
    product: Cost


@dataclass(frozen=True)
class SvdCosts:
    """What was measured.

    Attributes:
        rank, new_rank: of the layers before and after. threads: that torch computed with.
        shapes: by layer shape.
        factors, product: for all layers, added up from the shapes.
        ratio, processor_ratio: product / factors, by the clock and of the processors.
        whole_file: one file of all layers, reading, hashing and writing included.
    """

    rank: int
    new_rank: int
    threads: int
    shapes: list[ShapeCost]
    factors: Cost
    product: Cost
    ratio: float
    processor_ratio: float
    whole_file: Cost

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON-ready values."""
        return asdict(self)


def measure(
    folder: Path, report: Report, rank: int = 128, new_rank: int = 64, rounds: int = 3,
    layers: dict[tuple[int, int], int] | None = None,
) -> SvdCosts:
    """Measures both ways.

    Args:
        folder: an empty one, for the whole file.
        report: told what is being measured.
        rank, new_rank: before and after.
        rounds: how often the two ways take turns for each shape.
        layers: shapes and their numbers; None = SDXL's.
    """
    layers = LAYERS if layers is None else layers
    shapes = []
    for (outputs, inputs), count in layers.items():
        cost = _of_shape(outputs, inputs, count, rank, new_rank, rounds)
        shapes.append(cost)
        report(f"{outputs}x{inputs}: {cost.factors.clock * 1000:.1f} ms by the factors, "
               f"{cost.product.clock * 1000:.0f} ms by the product")
    ours, dense = Cost(0, 0), Cost(0, 0)
    for cost in shapes:
        ours, dense = ours.plus(cost.factors.times(cost.layers)), dense.plus(cost.product.times(cost.layers))
    whole = _whole_file(folder, layers, rank, new_rank, report)
    return SvdCosts(rank, new_rank, torch.get_num_threads(), shapes, ours, dense, dense.clock / ours.clock,
                    dense.processor / ours.processor, whole)


def _of_shape(outputs: int, inputs: int, count: int, rank: int, new_rank: int, rounds: int) -> ShapeCost:
    stored = _layer(outputs, inputs, rank)
    turns = [(cost_of(lambda: _by_factors(stored, new_rank)), cost_of(lambda: _by_product(stored, new_rank)))
             for _ in range(rounds)]
    return ShapeCost(outputs, inputs, count, *(median(costs) for costs in zip(*turns, strict=True)))


def _layer(outputs: int, inputs: int, rank: int) -> dict[str, Tensor]:
    """Returns a layer as a file has it: half precision."""
    generator = seeds.torch_generator(0, "bench", outputs, inputs)
    return {"lora_up.weight": torch.randn(outputs, rank, generator=generator).half(),
            "lora_down.weight": torch.randn(rank, inputs, generator=generator).half(),
            "alpha": torch.tensor(float(rank)).half()}


def cost_of(work: Callable[[], object]) -> Cost:
    """Does it once and returns what that cost."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - clock, time.process_time() - processor)


def median(costs: Sequence[Cost]) -> Cost:
    """Returns the medians, of the clock and of the processor each by itself."""
    return Cost(statistics.median(cost.clock for cost in costs), statistics.median(cost.processor for cost in costs))


def _by_factors(stored: dict[str, Tensor], rank: int) -> object:
    """What the workbench does with a layer, from the file's tensors to the file's tensors."""
    layer = layer_sum.add("layer", [Weighted(factors.term("layer", stored), 1.0, "file")])
    return written.write(layer, Style(Reduction(SVD, rank)))


def _by_product(stored: dict[str, Tensor], rank: int) -> object:
    """The usual way, in single precision."""
    product = stored["lora_up.weight"].float() @ stored["lora_down.weight"].float()
    left, values, right = torch.linalg.svd(product, full_matrices=False)
    return (left[:, :rank] * values[:rank]).contiguous(), right[:rank].contiguous()


def _whole_file(
    folder: Path, layers: dict[tuple[int, int], int], rank: int, new_rank: int, report: Report
) -> Cost:
    tensors, number = {}, 0
    for (outputs, inputs), count in layers.items():
        stored = _layer(outputs, inputs, rank)
        for _ in range(count):
            tensors.update({f"{_NAME.format(number)}.{part}": tensor.clone() for part, tensor in stored.items()})
            number += 1
    source, out = folder / "source.safetensors", folder / "resized.safetensors"
    file.save(source, tensors, {"ss_base_model_version": "sdxl_base_v1-0"})
    tensors.clear()
    report(f"a whole file of {number} layers, {source.stat().st_size / 1e6:.0f} MB")
    order = ResizeOrder(source, out, Reduction(SVD, new_rank), "fp16", device="cpu")
    return cost_of(lambda: finish(resize.run(order)))
