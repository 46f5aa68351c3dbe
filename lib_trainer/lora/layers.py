"""One low-rank layer: what a LoRA adds to one layer of the model.

LoRA (Hu et al. 2021, eq. 3) leaves a weight W alone and adds `scale * up @ down` with `scale = alpha / rank`. There are
two forms of the same thing: the forward form (`delta(x)`, used in training and in generation, where no weight is
edited) and the weight form (`weight_delta()`, used to merge); a test holds them equal. Convolutions follow kohya's
shapes: `down` has the host layer's kernel, stride, padding and dilation, `up` is 1x1. A Tucker-decomposed LoCon puts a
kernel `mid` between a 1x1 `down` and `up` (Yeh et al. 2023, "LyCORIS", appendix on convolutions).

Precision: factors are float32 parameters. `delta` computes in the dtype of its input, as the host layer does: the
factors are cast on the way (autograd brings the gradient back to float32), and under autocast torch casts them itself.
So a base stored in fp16 or bf16 trains float32 adapters, and no activation gets bigger than the host made it.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from lib_trainer.errors import UserError
from lib_trainer.lora.keys import ALPHA, DOWN, MID, UP

if TYPE_CHECKING:
    from lib_trainer.host_model import Target
    from lib_trainer.lora.adapters.masks import Masks


@dataclass(frozen=True)
class HostShape:
    """What a LoRA layer must know of the layer it adapts.

    Attributes:
        outputs: output features or channels (of the target's rows). inputs: input features or channels.
        kernel: (k, k) of a convolution, None for a Linear layer. stride, padding, dilation: torch's, for `F.conv2d`.
    """

    outputs: int
    inputs: int
    kernel: tuple[int, ...] | None = None
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1

    @classmethod
    def of(cls, target: Target) -> HostShape:
        """Reads the shape of a target's module; works on the meta device, for only shapes are read."""
        weight = cast(Tensor, target.module.weight)
        outputs = weight.shape[0] if target.rows is None else len(range(*target.rows.indices(weight.shape[0])))
        if weight.dim() == 2:
            return cls(outputs, weight.shape[1])
        module = cast(torch.nn.Conv2d, target.module)
        return cls(outputs, weight.shape[1], tuple(weight.shape[2:]), module.stride, module.padding, module.dilation)


class LoraLayer(torch.nn.Module):
    """The factors of one layer.

    Attributes:
        name: kohya layer name.
        rank: inner dimension r. alpha: strength scale; `scale` = alpha / rank.
        down: (r, inputs) or (r, inputs, k, k) float32. up: (outputs, r) or (outputs, r, 1, 1) float32.
        mid: (r, r, k, k) when Tucker-decomposed (then `down` is 1x1), else None.
        scalar: () number that all is multiplied with while it is trained, None = there is none.
        multiplier: strength at which an attached network applies this layer; 0 costs nothing.
        channel_axis: where the host layer has its output channels: -1, or 1 for a convolution.
        is_kernel: whether the host layer is a true convolution.
        masks: what is left out in the turn that is on, None = nothing.
        plus: parameters that LoRA+ (Hayou et al. 2024, arXiv:2402.12354) gives the higher rate.
    """

    plus: tuple[str, ...] = ("up",)

    def __init__(
        self, name: str, shape: HostShape, down: Tensor, up: Tensor, alpha: float, mid: Tensor | None = None,
        scalar: Tensor | None = None, frozen: bool = False,
    ) -> None:
        """Takes the factors; `frozen` leaves `down` as it is for good (LoRA-FA)."""
        super().__init__()
        self.name = name
        self.shape = shape
        self.alpha = alpha
        self.rank = down.shape[0]
        self.scale = alpha / self.rank
        self.multiplier = 1.0
        self.channel_axis = -1 if shape.kernel is None else 1
        self.is_kernel = max(shape.kernel or (1,)) > 1
        self.masks: Masks | None = None
        self.down: Tensor
        if frozen:
            self.register_buffer("down", down)
        else:
            self.down = torch.nn.Parameter(down)
        self.up = torch.nn.Parameter(up)
        self.mid = None if mid is None else torch.nn.Parameter(mid)
        self.scalar = None if scalar is None else torch.nn.Parameter(scalar)
        spatial: dict[str, Any] = {"stride": shape.stride, "padding": shape.padding, "dilation": shape.dilation}
        self._down_spatial = spatial if mid is None else {}
        self._mid_spatial = spatial

    def meet(self, target: Target) -> None:
        """Needs nothing of the model's layer: the delta depends on its input alone."""

    def delta(self, x: Tensor, multiplier: float = 1.0) -> Tensor:
        """Returns what this layer adds to the host layer's output: `multiplier * scale * up(down(x))`.

        Args:
            x: the host layer's input, (..., inputs) or (B, inputs, H, W), any float dtype.
            multiplier: strength; folded with the scale into the small rank-r activation.

        Returns:
            (..., outputs) or (B, outputs, H', W') in the dtype of `x` (autocast's dtype under autocast).
        """
        down: Tensor = self.down
        up: Tensor = self.up
        if x.dtype != down.dtype:
            down, up = down.to(x.dtype), up.to(x.dtype)
        factor = multiplier * self.scale
        if self.shape.kernel is None:
            hidden = F.linear(x, down)
        else:
            hidden = F.conv2d(x, down, **self._down_spatial)
            if self.mid is not None:
                hidden = F.conv2d(hidden, self.mid.to(down.dtype), **self._mid_spatial)
        if self.masks is not None:
            hidden = self.masks.thin(self.name, hidden)
        if self.scalar is not None:
            hidden = hidden * self.scalar.to(hidden.dtype)
        if factor != 1.0:
            hidden = hidden * factor
        return F.linear(hidden, up) if self.shape.kernel is None else F.conv2d(hidden, up)

    def weight_delta(self) -> Tensor:
        """Returns `scale * up @ down` in the shape of the host weight: (outputs, inputs[, k, k]) float32."""
        down, up = self.down.float(), self.up.float()
        if self.scalar is not None:
            up = up * self.scalar.float()
        if self.shape.kernel is None:
            return up @ down * self.scale
        up = up.flatten(1)
        if self.mid is None:
            return torch.einsum("or,rikl->oikl", up, down) * self.scale
        return torch.einsum("or,rskl,si->oikl", up, self.mid.float(), down.flatten(1)) * self.scale

    def norm(self) -> Tensor:
        """Returns the length (Frobenius) of the change, () float32.

        |U D|^2 is the trace of (U^T U) (D D^T): two small matrices in place of one as big as the model's.
        """
        with torch.no_grad():
            if self.mid is not None:
                return self.weight_delta().norm()
            up, down = self.up.float().flatten(1), self.down.float().flatten(1)
            squared = ((up.T @ up) * (down @ down.T)).sum().clamp_min(0.0)
            scalar = 1.0 if self.scalar is None else self.scalar.float().abs()
            return squared.sqrt() * (abs(self.scale) * scalar)

    def scale_by(self, factor: Tensor) -> None:
        """Multiplies the change by a number >= 0, () float32: both factors by its root, as kohya; a frozen one not."""
        with torch.no_grad():
            if isinstance(self.down, torch.nn.Parameter) and self.mid is None:
                root = factor.sqrt()
                self.down.mul_(root.to(self.down.dtype))
                self.up.mul_(root.to(self.up.dtype))
            else:
                self.up.mul_(factor.to(self.up.dtype))

    def stored(self) -> dict[str, Tensor]:
        """Returns the layer as its file holds it: part -> tensor, the scalar multiplied in."""
        up = self.up.detach() if self.scalar is None else self.up.detach() * self.scalar.detach()
        found = {ALPHA: torch.tensor(self.alpha), DOWN: self.down.detach(), UP: up}
        return found if self.mid is None else found | {MID: self.mid.detach()}


def from_parts(
    target: Target, parts: Mapping[str, Tensor], scalar: Tensor | None = None, frozen: bool = False
) -> LoraLayer:
    """Makes a layer from its tensors in a LoRA file: `lora_down.weight`, `lora_up.weight`, `alpha`, `lora_mid.weight`.

    Args:
        target: the layer to adapt.
        parts: the tensors; without alpha, alpha is the rank.
        scalar, frozen: see `LoraLayer`.

    Raises:
        UserError: a factor is missing, or they do not fit the model's layer.
    """
    for part in (DOWN, UP):
        if part not in parts:
            raise UserError(
                f"The LoRA file is incomplete: the tensor '{target.name}.{part}' is missing. Use an intact copy."
            )
    alpha = float(parts[ALPHA]) if ALPHA in parts else float(parts[DOWN].shape[0])
    return from_tensors(target, parts[DOWN], parts[UP], alpha, parts.get(MID), scalar, frozen)


def from_tensors(
    target: Target, down: Tensor, up: Tensor, alpha: float, mid: Tensor | None = None, scalar: Tensor | None = None,
    frozen: bool = False,
) -> LoraLayer:
    """Makes a layer from a file's factors, copied to float32.

    A 1x1 convolution and a Linear layer are the same thing: files write either (the projections of SD 2.x), so the
    factors take the host layer's number of dimensions.

    Args:
        target: the layer to adapt.
        down, up, mid: the factors in kohya's shapes, any float dtype.
        alpha: strength scale of the file.
        scalar, frozen: see `LoraLayer`.

    Raises:
        UserError: the factors do not fit the layer.
    """
    shape = HostShape.of(target)
    down, up = _with_dimensions(down, shape), _with_dimensions(up, shape)
    middle = None if mid is None else mid.detach().float().clone()
    kernel = shape.kernel or ()
    wanted_down = (down.shape[0], shape.inputs, *(kernel if mid is None else (1, 1)))
    wanted_up = (shape.outputs, down.shape[0], *(1 for _ in kernel))
    if tuple(down.shape) != wanted_down or tuple(up.shape) != wanted_up:
        raise UserError(
            f"The LoRA's layer '{target.name}' has the factors {list(down.shape)} and {list(up.shape)}, but the loaded "
            f"model needs {list(wanted_down)} and {list(wanted_up)}: the LoRA was made for another kind of model. "
            "Load the checkpoint it was trained on, or choose another LoRA."
        )
    return LoraLayer(target.name, shape, down, up, alpha, middle, scalar, frozen)


def _with_dimensions(factor: Tensor, shape: HostShape) -> Tensor:
    """Returns a float32 copy with the host layer's number of dimensions where a 1x1 kernel allows it."""
    copy = factor.detach().to(dtype=torch.float32, copy=True)
    if shape.kernel is None and copy.dim() == 4 and copy.shape[2:] == (1, 1):
        return copy.flatten(1)
    if shape.kernel is not None and copy.dim() == 2:
        return copy[:, :, None, None]
    return copy
