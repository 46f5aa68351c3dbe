"""Factors with their strength multiplied in, as PEFT's files have them, and back again bit for bit.

kohya's file multiplies up @ down by alpha / rank; a file in diffusers' names has no alpha, and diffusers takes the rank
of the first layer for the strength of all of them. So the strength goes into one factor, and where a network's layers
have several ranks the smaller ones are filled up with zeros, which changes nothing of the product. What was done is
written down, layer by layer, so that it can be undone: multiplied numbers are kept in a wider dtype wherever dividing
them would not give back every bit.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lib_trainer.lora import keys
from lib_trainer.lora.algorithms.registry import DORA_SCALE

_WIDER = {torch.float32: torch.float64, torch.float64: torch.float64}
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (
    torch.float8_e4m3fn, torch.float8_e5m2, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8,
    torch.int32, torch.int64)}


@dataclass(frozen=True)
class Origin:
    """What a layer was before: all that is needed to undo the folding.

    Attributes:
        alpha: its value; None = the file had none. alpha_dtype, alpha_shape: how it was stored.
        scale: what one factor was multiplied with. into: which, "up" or "down".
        down_dtype, up_dtype, down, up: dtypes and shapes of the factors.
        lengths: shape of DoRA's lengths; () = there are none.
        exact: whether undoing gives every bit back.
    """

    alpha: float | None
    alpha_dtype: str
    alpha_shape: tuple[int, ...]
    scale: float
    into: str
    down_dtype: str
    up_dtype: str
    down: tuple[int, ...]
    up: tuple[int, ...]
    lengths: tuple[int, ...]
    exact: bool = True

    def to_json(self) -> dict[str, Any]:
        """Returns it ready for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Origin:
        """Returns what `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        told = cls(**stored)
        dtypes = {told.down_dtype, told.up_dtype, *([told.alpha_dtype] if told.alpha is not None else [])}
        if not dtypes <= _DTYPES.keys() or told.into not in ("up", "down") or not float(told.scale):
            raise ValueError("no origin of a layer")
        return replace(told, alpha_shape=_shape(told.alpha_shape), down=_shape(told.down), up=_shape(told.up),
                       lengths=_shape(told.lengths))


@dataclass(frozen=True)
class Folded:
    """Factors without alpha: up @ down is the layer's whole change."""

    down: Tensor
    up: Tensor
    origin: Origin

    @property
    def is_wider(self) -> bool:
        """Whether the factors are in a wider dtype than they were."""
        return (_word(self.down), _word(self.up)) != (self.origin.down_dtype, self.origin.up_dtype)

    @property
    def is_finite(self) -> bool:
        """Whether all numbers are numbers."""
        return all(bool(_comparable(factor).isfinite().all()) for factor in (self.down, self.up))


def fold(parts: Mapping[str, Tensor], rank: int, dims: int, widen: bool = True) -> Folded:
    """Multiplies a layer's strength into its factors.

    Args:
        parts: "lora_down.weight", "lora_up.weight" and perhaps "alpha" and "dora_scale".
        rank: what it is filled up to, at least its own.
        dims: 2 for matrices, 4 for kernels: how many sides the factors shall have; 0 = as they are.
        widen: whether a wider dtype may be taken where only that gives every bit back.
    """
    down, up, alpha = parts[keys.DOWN], parts[keys.UP], parts.get(keys.ALPHA)
    scale = 1.0 if alpha is None else _number(alpha) / down.shape[0]
    into, wide, exact = _where(down, up, scale, widen)
    lengths = parts.get(DORA_SCALE)
    origin = Origin(
        alpha=None if alpha is None else _number(alpha), alpha_dtype="" if alpha is None else _word(alpha),
        alpha_shape=() if alpha is None else tuple(alpha.shape), scale=scale, into=into, down_dtype=_word(down),
        up_dtype=_word(up), down=tuple(down.shape), up=tuple(up.shape),
        lengths=() if lengths is None else tuple(lengths.shape), exact=exact)
    factors = {"down": down.to(wide), "up": up.to(wide)}
    factors[into] = _times(down if into == "down" else up, scale, wide)
    down, up = _filled(factors["down"], rank, 0), _filled(factors["up"], rank, 1)
    return Folded(_with_sides(down, dims), _with_sides(up, dims), origin)


def unfold(parts: Mapping[str, Tensor], origin: Origin) -> dict[str, Tensor]:
    """Returns the layer's tensors as they were before `fold`.

    Raises:
        KeyError, RuntimeError: they are not what `fold` gave.
    """
    rank = origin.down[0]
    down, up = parts[keys.DOWN][:rank].reshape(origin.down), parts[keys.UP][:, :rank].reshape(origin.up)
    back = {keys.DOWN: _divided(down, origin.scale if origin.into == "down" else 1.0, _DTYPES[origin.down_dtype]),
            keys.UP: _divided(up, origin.scale if origin.into == "up" else 1.0, _DTYPES[origin.up_dtype])}
    if origin.alpha is not None:
        alpha = torch.tensor(origin.alpha, dtype=torch.float64).to(_DTYPES[origin.alpha_dtype])
        back[keys.ALPHA] = alpha.reshape(origin.alpha_shape)
    if origin.lengths:
        back[DORA_SCALE] = parts[DORA_SCALE].reshape(origin.lengths)
    return {part: tensor.contiguous() for part, tensor in back.items()}


def _where(down: Tensor, up: Tensor, scale: float, widen: bool) -> tuple[str, torch.dtype, bool]:
    """Returns which factor takes the strength, in which dtype, and whether every bit comes back."""
    own = torch.promote_types(down.dtype, up.dtype)
    wider = _WIDER.get(own, torch.float32) if widen else own
    for dtype in (own, wider):
        for into, factor in (("up", up), ("down", down)):
            if _comes_back(factor, scale, dtype):
                return into, dtype, True
    return "up", wider, False


def _comes_back(factor: Tensor, scale: float, dtype: torch.dtype) -> bool:
    if scale == 0.0:
        return False
    back = _divided(_times(factor, scale, dtype), scale, factor.dtype)
    bits = _BITS[factor.element_size()]
    return torch.equal(back.contiguous().view(bits), factor.contiguous().view(bits))


def _times(tensor: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if scale == 1.0 else (tensor.double() * scale).to(dtype)


def _divided(tensor: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if scale == 1.0 else (tensor.double() / scale).to(dtype)


def _filled(tensor: Tensor, rank: int, side: int) -> Tensor:
    """Returns a factor with zeros up to the rank: rows of down (side 0), columns of up (side 1)."""
    missing = list(tensor.shape)
    missing[side] = rank - tensor.shape[side]
    return tensor if not missing[side] else torch.cat([tensor, tensor.new_zeros(missing)], side)


def _with_sides(tensor: Tensor, dims: int) -> Tensor:
    if dims == 4 and tensor.dim() == 2:
        return tensor[:, :, None, None]
    return tensor.flatten(1).contiguous() if dims == 2 else tensor.contiguous()


def _comparable(tensor: Tensor) -> Tensor:
    """Returns a tensor of which torch can tell whether it is finite: numbers of 8 bits are widened."""
    return tensor.float() if tensor.element_size() == 1 else tensor


def _shape(sides: Sequence[object]) -> tuple[int, ...]:
    if not all(type(side) is int and side >= 0 for side in sides):
        raise ValueError("no shape")
    return tuple(sides)  # type: ignore[arg-type]


def _number(tensor: Tensor) -> float:
    return float(tensor.double().flatten()[0])


def _word(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
