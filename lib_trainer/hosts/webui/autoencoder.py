"""Encoding pictures with a host's autoencoder: in its own precision, and once more in float32 where that overflows.

SDXL's own autoencoder gives no numbers in float16. The encoder then runs on float32 copies of its weights, made for the
one call: a few dozen million numbers, against a checkpoint that must be loaded again with another option. The host's
weights stay as they are.
"""
from __future__ import annotations

from typing import Any

import torch

_LOG_VARIANCE = (-30.0, 20.0)
"""Range to which the original autoencoder clamps the logarithm of the posterior's variance."""


def posterior(network: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns mean and standard deviation (B, C, h, w) float32; they are no numbers where float32 overflows, too.

    Args:
        network: has `encoder`, and `quant_conv` or not.
        pixels: (B, 3, H, W) in the dtype and on the device of the network's weights.
    """
    with torch.no_grad(), torch.autocast(pixels.device.type, enabled=False):
        moments = pixels
        for part in _parts(network):
            moments = part(moments)
    mean, std = _split(moments)
    return (mean, std) if bool(mean.isfinite().all()) else posterior_in_float32(network, pixels)


def posterior_in_float32(network: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns mean and standard deviation as `posterior`, computed with float32 copies of the weights."""
    with torch.no_grad(), torch.autocast(pixels.device.type, enabled=False):
        moments = pixels.float()
        for part in _parts(network):
            moments = _in_float32(part, moments)
    return _split(moments)


def _parts(network: Any) -> list[torch.nn.Module]:
    quantised = getattr(network, "quant_conv", None)
    return [network.encoder] if quantised is None else [network.encoder, quantised]


def _split(moments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean, log_variance = moments.float().chunk(2, dim=1)
    return mean, torch.exp(0.5 * log_variance.clamp(*_LOG_VARIANCE))


def _in_float32(module: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Calls a module with float32 copies of all its weights and buffers in their places."""
    tensors = {name: tensor.float() for name, tensor in [*module.named_parameters(), *module.named_buffers()]}
    found: torch.Tensor = torch.func.functional_call(module, tensors, (inputs,))
    return found
