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
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass
class _Found:
    """What differs from a network in training, to be put back.

    Attributes:
        training: modules in train mode. flagged: tensors that required a gradient.
        aliased: the dict of a module, the name in it, the host's own tensor and what stands for it.
    """

    training: list[torch.nn.Module] = field(default_factory=list)
    flagged: list[torch.Tensor] = field(default_factory=list)
    aliased: list[tuple[dict[str, Any], str, torch.Tensor, torch.Tensor]] = field(default_factory=list)


@contextmanager
def lent(networks: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Makes networks, with all modules inside them, ready for training while open."""
    found = _Found()
    try:
        for network in networks:
            for module in network.modules():
                _make_ready(module, found)
        yield
    finally:
        _put_back(found)


@contextmanager
def flags_lent(modules: Sequence[torch.nn.Module], weights: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """As `lent`, for a host without inference tensors that keeps lists of what its model is made of: costs no walk."""
    found = _Found()
    try:
        for module in modules:
            if module.training:
                module.training = False
                found.training.append(module)
        for weight in weights:
            if weight.requires_grad:
                weight.requires_grad_(False)
                found.flagged.append(weight)
        yield
    finally:
        _put_back(found)


def _make_ready(module: torch.nn.Module, found: _Found) -> None:
    if module.training:
        module.training = False
        found.training.append(module)
    for tensors in (module._parameters, module._buffers):
        for name, tensor in tensors.items():
            if tensor is None:
                continue
            if tensor.is_inference():
                tensors[name] = alias = on_same_storage(tensor)
                found.aliased.append((tensors, name, tensor, alias))
            elif tensor.requires_grad:
                tensor.requires_grad_(False)
                found.flagged.append(tensor)


def _put_back(found: _Found) -> None:
    for tensors, name, own, alias in found.aliased:
        if tensors.get(name) is alias:
            tensors[name] = own
    for tensor in found.flagged:
        tensor.requires_grad_(True)
    for module in found.training:
        module.training = True


def on_same_storage(tensor: torch.Tensor) -> torch.Tensor:
    """Returns an ordinary tensor (a Parameter for a Parameter) that shares the storage of any tensor."""
    with torch.inference_mode(False), torch.no_grad():
        fresh = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        fresh.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
        return torch.nn.Parameter(fresh, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else fresh
