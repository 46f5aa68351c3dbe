"""Pictures of all that training must leave as it was: the networks, and the process-wide random generators."""
from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class TensorState:
    """One parameter or buffer: where it is, what it holds, how it is flagged."""

    address: int
    digest: str
    dtype: torch.dtype
    device: torch.device
    requires_grad: bool
    has_grad: bool


@dataclass(frozen=True)
class ModuleState:
    """One module: mode, hooks, and names set on the instance itself (a patched `forward` shows here)."""

    training: bool
    hooks: int
    names: frozenset[str]


def networks(found: Sequence[torch.nn.Module]) -> dict[str, TensorState | ModuleState]:
    """Returns the state of every tensor and module."""
    state: dict[str, TensorState | ModuleState] = {}
    for number, network in enumerate(found):
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            state[f"{number} {name}"] = TensorState(
                tensor.data_ptr(), hashlib.sha256(data).hexdigest(), tensor.dtype, tensor.device, tensor.requires_grad,
                tensor.grad is not None)
        for name, module in network.named_modules():
            hooks = sum(len(getattr(module, kind)) for kind in HOOKS)
            state[f"{number} module {name}"] = ModuleState(module.training, hooks, frozenset(module.__dict__))
    return state


def random_generators() -> tuple[object, ...]:
    """Returns the states of Python's, numpy's and torch's process-wide generators."""
    return random.getstate(), str(numpy.random.get_state(legacy=False)), torch.random.get_rng_state().numpy().tobytes()
