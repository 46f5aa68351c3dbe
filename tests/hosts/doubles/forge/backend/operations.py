"""Double of Forge's layers: weights are cast to their input where they are stored in another dtype."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

current_device = None
current_dtype: torch.dtype | None = None
current_manual_cast_enabled = False


def _cast(layer: Any, x: torch.Tensor) -> tuple[Any, Any]:
    if not layer.parameters_manual_cast:
        return layer.weight, layer.bias
    return layer.weight.to(x.dtype), None if layer.bias is None else layer.bias.to(x.dtype)


class ForgeOperations:
    class Linear(torch.nn.Module):
        """No `torch.nn.Linear`, as in Forge."""

        def __init__(self, in_features: int, out_features: int, bias: bool = True, **kwargs: Any) -> None:
            super().__init__()
            self.in_features, self.out_features = in_features, out_features
            self.weight = torch.nn.Parameter(torch.empty(out_features, in_features, dtype=current_dtype))
            self.bias = torch.nn.Parameter(torch.empty(out_features, dtype=current_dtype)) if bias else None
            self.parameters_manual_cast = current_manual_cast_enabled

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(x, *_cast(self, x))

    class Conv2d(torch.nn.Conv2d):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "dtype": current_dtype})
            self.parameters_manual_cast = current_manual_cast_enabled

        def reset_parameters(self) -> None:
            pass

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self._conv_forward(x, *_cast(self, x))

    class GroupNorm(torch.nn.GroupNorm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "dtype": current_dtype})
            self.parameters_manual_cast = current_manual_cast_enabled

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.group_norm(x, self.num_groups, *_cast(self, x), self.eps)

    class LayerNorm(torch.nn.LayerNorm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "dtype": current_dtype})
            self.parameters_manual_cast = current_manual_cast_enabled

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.layer_norm(x, self.normalized_shape, *_cast(self, x), self.eps)


@contextmanager
def using_forge_operations(
    operations: Any = None, device: Any = None, dtype: torch.dtype | None = None, manual_cast_enabled: bool = False,
) -> Iterator[None]:
    """Networks made while open are made of these layers: torch's own names stand for them."""
    global current_dtype, current_manual_cast_enabled
    current_dtype, current_manual_cast_enabled = dtype, manual_cast_enabled
    names = ("Linear", "Conv2d", "GroupNorm", "LayerNorm")
    stock = {name: getattr(torch.nn, name) for name in names}
    try:
        for name in names:
            setattr(torch.nn, name, getattr(ForgeOperations, name))
        yield
    finally:
        for name, kind in stock.items():
            setattr(torch.nn, name, kind)
