"""How torch's own optimisers compute: one call for all factors of a LoRA instead of one per factor.

A LoRA has hundreds of small factors, so that calls cost more than sums. `fused` is one kernel for all of them, where
torch has it for the device; `foreach` is one call per operation. They differ from each other in the last bits, so the
form is chosen by torch's version and the device alone.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FLAGS = ("fused", "foreach")
"""Arguments of torch's optimisers about how they compute."""

_FUSED = ("torch.optim:AdamW", "torch.optim:Adam", "torch.optim:SGD")
_FUSED_SINCE = {"cpu": (2, 4), "cuda": (2, 3)}


def flags(path: str, allowed: Iterable[str], weights: Sequence[torch.Tensor]) -> dict[str, bool]:
    """Returns the fastest form for these weights.

    Args:
        path: of the class, "package.module:Class".
        allowed: names of the class's arguments.
        weights: what it will train.
    """
    import torch

    names = set(allowed)
    if not path.startswith("torch.optim") or not weights:
        return {}
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    devices = {weight.device.type for weight in weights}
    can_fuse = all(version >= _FUSED_SINCE.get(device, (1000, 0)) for device in devices) and len(devices) == 1
    if path in _FUSED and "fused" in names and can_fuse:
        return {"fused": True}
    return {"foreach": True} if "foreach" in names else {}
