"""Makes a host's networks fit for training, and gives them back exactly as they were found.

A WebUI keeps its weights as drawing wants them: parameters may require gradients although nobody trains them, modules
may be in train mode, and tensors that were made under `torch.inference_mode` refuse to be saved for a backward pass.
While lent, everything is in eval mode, nothing of the host requires a gradient, and every inference tensor is replaced
by a fresh tensor on the same storage: no byte is copied, moved or changed. The replacements live as long as the block,
so the host can move its weights between two turns and free what they left.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def lent(networks: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Makes networks, with all modules inside them, ready for training while open."""
    modules = [module for network in networks for module in network.modules()]
    with aliased(modules), flags_lent(modules, weights_of(modules)):
        yield


def weights_of(modules: Sequence[torch.nn.Module]) -> list[torch.nn.Parameter]:
    """Returns the modules' own parameters as they are now."""
    return [weight for module in modules for weight in module._parameters.values() if weight is not None]


@contextmanager
def flags_lent(modules: Sequence[torch.nn.Module], weights: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """Eval mode, and no weight requires a gradient, while open.

    For hosts that keep lists of what their model is made of: costs no walk. `training` is set in the modules'
    dictionaries, past their slow `__setattr__`; inference tensors take flags in inference mode only.
    """
    training = [module.__dict__ for module in modules if module.training]
    flagged = [weight for weight in weights if weight.requires_grad]
    try:
        for names in training:
            names["training"] = False
        with torch.inference_mode():
            for weight in flagged:
                weight.requires_grad_(False)
        yield
    finally:
        for names in training:
            names["training"] = True
        with torch.inference_mode():
            for weight in flagged:
                weight.requires_grad_(True)


@contextmanager
def aliased(modules: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Puts ordinary tensors on the same storages in the place of the modules' inference tensors while open."""
    found: list[tuple[dict[str, Any], str, torch.Tensor, torch.Tensor]] = []
    places: list[dict[str, Any]] = [tensors for module in modules for tensors in (module._parameters, module._buffers)]
    try:
        with torch.inference_mode(False), torch.no_grad():
            for tensors in places:
                for name, tensor in tensors.items():
                    if tensor is not None and tensor.is_inference():
                            tensors[name] = alias = on_same_storage(tensor)
                            found.append((tensors, name, tensor, alias))
        yield
    finally:
        for tensors, name, own, alias in found:
            if tensors.get(name) is alias:
                tensors[name] = own


def on_same_storage(tensor: torch.Tensor) -> torch.Tensor:
    """Returns an ordinary tensor (a Parameter for a Parameter) that shares the storage of any tensor.

    To be called outside inference mode.
    """
    fresh = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    fresh.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
    return torch.nn.Parameter(fresh, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else fresh
