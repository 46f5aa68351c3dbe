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

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.errors import UserError
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
from lib_trainer.workbench.reduction import EXACT, Reduction

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
    """

    name: str
    tensors: dict[str, Tensor]
    rank: int | None
    is_conv: bool
    kept: float = 0.0
    total: float = 0.0
    vanished: int = 0
    lost: bool = False


@dataclass(frozen=True)
class _Thin:
    """A layer's change as factors (float64), and the energies (kept, total) of what was left out, if anything was."""

    up: Tensor
    down: Tensor
    kept: float = 0.0
    total: float = 0.0


def write(layer: LayerSum, style: Style) -> Written:
    """Returns a layer as a file has it.

    Raises:
        UserError: a number is too great for the dtype.
    """
    thin = _thin(layer, style) if len(layer.shape) > 1 else None
    tensors = (_as_difference(layer) if thin is None else _as_lora(layer, thin)) | _beside(layer)
    found = {part: stored(tensor, style.dtype, f"{layer.name}.{part}") for part, tensor in tensors.items()}
    gone = {part: _nonzero(tensor) - _nonzero(found[part]) for part, tensor in tensors.items()}
    vanished, lost = sum(gone.values()), any(gone[part] and not found[part].any() for part in found)
    if thin is None:
        return Written(layer.name, found, None, layer.is_conv, vanished=vanished, lost=lost)
    rank = thin.up.shape[1]
    return Written(layer.name, {keys.ALPHA: torch.tensor(float(rank)), **found}, rank, layer.is_conv,
                   0.0 if lost else thin.kept, thin.total, vanished, lost)


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
        rank = rank_of(found.values, style.reduction, layer.is_conv)
        thin = _Thin(*found.factors(rank), *energies(found.values, rank))
    return _turned(thin, style.seed, layer.name) if style.shuffle else thin


def _decomposed(layer: LayerSum, style: Style) -> Decomposed | None:
    """Decomposes a layer; None where it is to stay as it is."""
    is_exact = style.reduction.kind == EXACT
    if layer.product is not None and (style.shuffle or not is_exact):
        return of_factors(layer.product.up, layer.product.down)
    if layer.dense is not None and not is_exact:
        return of_matrix(layer.dense, style.reduction.limit(layer.is_conv))
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


def stored(tensor: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """Returns a tensor as the file holds it: on the CPU, rounded once from double precision.

    Args:
        tensor: float64. dtype: the file's. name: the tensor's, for the sentence.

    Raises:
        UserError: a number is too great for the dtype.
    """
    rounded = tensor.to("cpu", dtype).contiguous()
    if not bool(rounded.isfinite().all()):
        raise UserError(f"The tensor '{name}' has numbers (up to {float(tensor.abs().max()):g}) that are too great for "
                        f"{str(dtype).removeprefix('torch.')}. Choose the precision bf16 or fp32.")
    return rounded
