"""Which implementation of attention the U-Net runs while a run wants another than the host's own.

The choice is made inside the attention layers themselves, so that what is computed again in backward is computed alike.
"""
from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0, XFormersAttnProcessor
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel


def obstacles(attention: str, device: torch.device, dtype: torch.dtype) -> list[str]:
    """Returns why an implementation cannot be had."""
    if attention == "flash" and (device.type != "cuda" or dtype == torch.float32):
        return [f"attention = 'flash' runs on an NVIDIA card in fp16 or bf16 only; the model is on '{device.type}' in "
                f"{str(dtype).removeprefix('torch.')}. Use auto."]
    if attention == "xformers" and (device.type != "cuda" or importlib.util.find_spec("xformers") is None):
        return ["attention = 'xformers' needs an NVIDIA card and the package xformers, which is not installed. Use "
                "auto: torch's own attention is as fast."]
    return []


class _Backend(AttnProcessor2_0):
    """torch's attention, held to one of its backends."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __call__(self, *args: Any, **named: Any) -> torch.Tensor:
        """Runs the layer."""
        with _only(self._name):
            return super().__call__(*args, **named)


def _only(name: str) -> AbstractContextManager[object]:
    """While open, torch's attention runs on the "flash" or the "math" backend alone."""
    if hasattr(getattr(torch.nn, "attention", None), "sdpa_kernel"):
        backends = torch.nn.attention.SDPBackend
        return torch.nn.attention.sdpa_kernel(backends.FLASH_ATTENTION if name == "flash" else backends.MATH)
    return torch.backends.cuda.sdp_kernel(  # torch before 2.3
        enable_flash=name == "flash", enable_math=name == "math", enable_mem_efficient=False)


@contextmanager
def chosen(unet: UNet2DConditionModel, attention: str) -> Iterator[None]:
    """While open, the U-Net's attention runs on an implementation; "auto" = as it is."""
    if attention == "auto":
        yield
        return
    processor: Any = AttnProcessor2_0()
    if attention == "xformers":
        processor = XFormersAttnProcessor()
    elif attention != "sdpa":
        processor = _Backend(attention)
    found = dict(unet.attn_processors)
    unet.set_attn_processor(processor)
    try:
        yield
    finally:
        unet.set_attn_processor(found)
