"""Double of the WebUIs' devices: everything is on the CPU."""
from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

cpu = device = torch.device("cpu")
dtype = dtype_vae = dtype_unet = dtype_inference = torch.float32
unet_needs_upcast = False
fp8 = False


class NansException(Exception):
    pass


def torch_gc() -> None:
    pass


def autocast(disable: bool = False) -> AbstractContextManager[None]:
    return nullcontext()


def without_autocast(disable: bool = False) -> AbstractContextManager[None]:
    return nullcontext()
