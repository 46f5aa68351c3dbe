"""The U-Net compiled for training by torch.compile, while the adapters' hooks are on it.

The compiler traces through hooks once and does not look at them again: what it made is right only for the adapters
that were attached then. So it is used by a run's own steps alone, which always run with its adapters attached, and
forgotten with the run; pictures are drawn by the U-Net as it is.
"""
from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from typing import Any

import torch


def obstacles(device: torch.device) -> list[str]:
    """Returns why nothing can be compiled here."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return ["compile = True needs the package triton, which is not installed with this torch. Switch it off."]
    if device.type == "cpu" and not any(shutil.which(name) for name in ("g++", "c++", "clang++", "cl")):
        return ["compile = True needs a C++ compiler on a CPU, and none was found. Switch it off."]
    return []


class CompiledUNet:
    """Compiles whatever U-Net it is given, once."""

    def __init__(self, backend: str = "inductor") -> None:
        """Starts without any."""
        self._backend = backend
        self._of: torch.nn.Module | None = None
        self._made: Callable[..., Any] | None = None

    def __call__(self, unet: torch.nn.Module) -> Callable[..., Any]:
        """Returns the U-Net's compiled form; compiling happens at its first call, which takes minutes."""
        if self._made is None or self._of is not unet:
            self.forget()
            self._of, self._made = unet, torch.compile(unet, backend=self._backend)
        return self._made

    def forget(self) -> None:
        """Drops everything that was compiled."""
        if self._made is not None:
            torch._dynamo.reset()
        self._of = self._made = None
