"""Makes a host's networks fit for training, and gives them back exactly as they were found.

A WebUI keeps its weights as drawing wants them: parameters may require gradients although nobody trains them, modules
may be in train mode, and tensors that were made under `torch.inference_mode` refuse to be saved for a backward pass.
While lent, everything is in eval mode, nothing of the host requires a gradient, and every inference tensor is replaced
by a fresh tensor on the same storage: no byte is copied, moved or changed.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.weak import WeakIdKeyDictionary

_aliases = WeakIdKeyDictionary()
"""Fresh tensors by the inference tensor whose storage they share; an entry goes with its inference tensor."""


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


class Lending:
    """Networks of a host during one turn; `take` and `give_back` alternate, for a preview draws in between."""

    def __init__(self, networks: Sequence[torch.nn.Module]) -> None:
        self._networks = networks
        self._found: _Found | None = None

    def take(self) -> None:
        """Makes the networks ready for training."""
        self._found = found = _Found()
        for network in self._networks:
            for module in network.modules():
                if module.training:
                    module.training = False
                    found.training.append(module)
                for tensors in (module._parameters, module._buffers):
                    for name, tensor in tensors.items():
                        if tensor is not None:
                            _make_ready(tensors, name, tensor, found)

    def give_back(self) -> None:
        """Puts everything back as `take` found it; does nothing when it was put back already."""
        found, self._found = self._found, None
        if found is None:
            return
        for tensors, name, own, alias in found.aliased:
            if tensors.get(name) is alias:
                tensors[name] = own
        for tensor in found.flagged:
            tensor.requires_grad_(True)
        for module in found.training:
            module.training = True


def _make_ready(tensors: dict[str, Any], name: str, tensor: torch.Tensor, found: _Found) -> None:
    if tensor.is_inference():
        tensors[name] = alias = _alias(tensor)
        found.aliased.append((tensors, name, tensor, alias))
    elif tensor.requires_grad:
        tensor.requires_grad_(False)
        found.flagged.append(tensor)


def _alias(tensor: torch.Tensor) -> torch.Tensor:
    """Returns an ordinary tensor on the storage of an inference tensor, made anew when that has moved."""
    known: torch.Tensor | None = _aliases.get(tensor)
    if known is None or known.data_ptr() != tensor.data_ptr() or known.dtype != tensor.dtype:
        known = _aliases[tensor] = on_same_storage(tensor)
    return known


def on_same_storage(tensor: torch.Tensor) -> torch.Tensor:
    """Returns an ordinary tensor (a Parameter for a Parameter) that shares the storage of any tensor."""
    with torch.inference_mode(False), torch.no_grad():
        fresh = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        fresh.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
        return torch.nn.Parameter(fresh, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else fresh
