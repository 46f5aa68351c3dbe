"""From the sum of a layer to the tensors of a file: as it is, or at a lower rank, or with its origins mixed away.

The alpha of every layer is its rank, so loaders multiply with 1. It is stored in single precision whatever the file's
own is: bf16 has no 257.

**Shuffle.** Factors put side by side show their sources: columns are the sources' columns, their Gram matrix falls into
the sources' blocks, and permuting the ranks changes nothing about that. Here the product is decomposed, which forgets
how it was put together, its directions get balanced factors of the product's own rank, and these are turned inside the
rank by a random rotation. What is written depends on the product and the seed alone; whatever two sets of sources have
the same sum give the same file.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.lora import keys
from lib_trainer.workbench.decomposition import (
    Decomposed,
    energies,
    numerical_rank,
    of_factors,
    of_matrix,
    rank_of,
)
from lib_trainer.workbench.layer_sum import LayerSum
from lib_trainer.workbench.reduction import CUMULATIVE, EXACT, Reduction
from lib_trainer.workbench.rounding import refuse_too_great

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def precision_faults(precision: str) -> list[str]:
    """Returns why layers cannot be written in a precision; nothing where they can."""
    if precision in DTYPES:
        return []
    return [f"The precision '{precision}' is none of {', '.join(DTYPES)}. Choose one of them."]


@dataclass(frozen=True)
class Style:
    """How layers are written.

    Attributes:
        reduction: what becomes of their ranks.
        dtype: of the factors.
        shuffle: whether the origins are mixed away. seed: of the rotations.
    """

    reduction: Reduction
    dtype: torch.dtype = torch.float32
    shuffle: bool = False
    seed: int = 0

    @property
    def keeps_kinds(self) -> bool:
        """Whether a layer may stay of the kind that it is: nothing is to be mixed or reduced."""
        return self.reduction.kind == EXACT and not self.shuffle


@dataclass(frozen=True)
class Written:
    """A layer of the file.

    Attributes:
        name: kohya layer name.
        tensors: by part, CPU.
        rank: of its factors; None = it has none.
        is_conv: whether it has a kernel greater than 1x1.
        kept, total: energy (squared Frobenius norm) of the weight's change that is written, and of all of it; both 0
            where nothing was decomposed, so nothing was left out.
        vanished: numbers that were not 0 and are, by rounding to the file's dtype.
        lost: whether a whole tensor became 0 so, and with it what the layer does; then `kept` is 0.
        too_great: by part, the greatest number of tensors that the dtype does not hold; the file cannot be written.
        kind: the algorithm, where the layer kept its own.
        is_nothing: whether the layer was 0 before any rounding: what was added up takes each other away.
    """

    name: str
    tensors: dict[str, Tensor]
    rank: int | None
    is_conv: bool
    kept: float = 0.0
    total: float = 0.0
    vanished: int = 0
    lost: bool = False
    too_great: dict[str, float] = field(default_factory=dict)
    kind: str = ""
    is_nothing: bool = False


@dataclass(frozen=True)
class _Thin:
    """A layer's change as factors (float64), and the energies (kept, total) of what was left out, if anything was."""

    up: Tensor
    down: Tensor
    kept: float = 0.0
    total: float = 0.0


def write(layer: LayerSum, style: Style) -> Written:
    """Returns a layer as a file has it; what its dtype does not hold is told in it (`refuse`)."""
    thin = _thin(layer, style) if len(layer.shape) > 1 else None
    tensors = (_as_difference(layer) if thin is None else _as_lora(layer, thin)) | _beside(layer)
    found = replace(rounded(layer.name, tensors, style.dtype), is_conv=layer.is_conv)
    if thin is None:
        return found
    rank = thin.up.shape[1]
    return replace(found, tensors={keys.ALPHA: torch.tensor(float(rank)), **found.tensors}, rank=rank,
                   kept=0.0 if found.lost else thin.kept, total=thin.total)


def rounded(name: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Written:
    """Returns tensors as the file holds them: on the CPU, rounded once from double precision, and what that cost.

    Args:
        name: the layer's. tensors: by part, float64. dtype: the file's.
    """
    found = {part: tensor.to("cpu", dtype).contiguous() for part, tensor in tensors.items()}
    gone = {part: _nonzero(tensor) - _nonzero(found[part]) for part, tensor in tensors.items()}
    too_great = {part: float(tensors[part].abs().max()) for part in found if not bool(found[part].isfinite().all())}
    return Written(
        name, found, None, is_conv=False, vanished=sum(gone.values()), too_great=too_great,
        lost=any(gone[part] and not found[part].any() for part in found),
        is_nothing=not any(_nonzero(tensor) for tensor in tensors.values()))


def refuse(whose: str, layers: Iterable[Written], precision: str) -> None:
    """Tells every tensor that the precision does not hold, before a file is written.

    Args:
        whose: what the tensors belong to, for the sentence. layers: of the file. precision: as a person says it.

    Raises:
        Problems: there are some.
    """
    refuse_too_great(whose, {f"{layer.name}.{part}": size for layer in layers
                             for part, size in layer.too_great.items()}, precision)


def _nonzero(tensor: Tensor) -> int:
    return int(tensor.count_nonzero())


def _thin(layer: LayerSum, style: Style) -> _Thin | None:
    """Returns a layer's change as the factors to be written; None = it is to be written as a full difference."""
    found = _decomposed(layer, style)
    if found is None:
        return None if layer.product is None else _Thin(layer.product.up, layer.product.down)
    if style.reduction.kind == EXACT:
        rank = max(1, numerical_rank(found.values))
        thin = _Thin(*found.factors(rank))
    else:
        rank = rank_of(found.values, style.reduction, layer.is_conv, found.rest)
        thin = _Thin(*found.factors(rank), *energies(found.values, rank, found.rest))
    return _turned(thin, style.seed, layer.name) if style.shuffle else thin


def _decomposed(layer: LayerSum, style: Style) -> Decomposed | None:
    """Decomposes a layer; None where it is to stay as it is."""
    is_exact = style.reduction.kind == EXACT
    if layer.product is not None and (style.shuffle or not is_exact):
        return of_factors(layer.product.up, layer.product.down)
    if layer.dense is not None and not is_exact:
        # Only a part of the sum of all values needs every one of them.
        return of_matrix(layer.dense, style.reduction.limit(layer.is_conv), style.reduction.dynamic == CUMULATIVE)
    return None


def _turned(thin: _Thin, seed: int, layer: str) -> _Thin:
    """Turns factors inside their rank by a rotation drawn evenly from all (Haar): up Q, Q^T down.

    The signs that a decomposition leaves open are settled before, so that they tell nothing of how it was computed.
    """
    up, rank = thin.up, thin.up.shape[1]
    signs = up.gather(0, up.abs().argmax(0, keepdim=True)).sign()
    gaussian = torch.randn(rank, rank, dtype=torch.float64, generator=seeds.torch_generator(seed, "shuffle", layer))
    rotation, triangle = torch.linalg.qr(gaussian)
    rotation = (rotation * triangle.diagonal().sign()).to(up.device)
    return replace(thin, up=(up * signs) @ rotation, down=rotation.T @ (thin.down * signs.T))


def _as_lora(layer: LayerSum, thin: _Thin) -> dict[str, Tensor]:
    ones = (1,) * len(layer.shape[2:])
    return {keys.UP: thin.up.reshape(*thin.up.shape, *ones), keys.DOWN: thin.down.reshape(-1, *layer.shape[1:])}


def _as_difference(layer: LayerSum) -> dict[str, Tensor]:
    if layer.dense is None:
        return {}
    return {"w_norm" if layer.is_norm else "diff": layer.dense.reshape(layer.shape)}


def _beside(layer: LayerSum) -> dict[str, Tensor]:
    if layer.bias is None:
        return {}
    return {"b_norm" if layer.is_norm else "diff_b": layer.bias}
