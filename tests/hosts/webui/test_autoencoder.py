"""The autoencoder of a host: its own precision where that does, float32 where it overflows, its weights untouched."""
from __future__ import annotations

import copy

import pytest
import torch

from lib_trainer.hosts.webui import autoencoder


class Network(torch.nn.Module):
    """An encoder of one convolution and a norm, whose activations a factor makes overflow in float16."""

    def __init__(self, factor: float, quantised: bool) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = torch.nn.Sequential(
                torch.nn.Conv2d(3, 8, 8, 8), torch.nn.GroupNorm(2, 8), torch.nn.Conv2d(8, 8, 1))
            if quantised:
                self.quant_conv = torch.nn.Conv2d(8, 8, 1)
        self.encoder[0].weight.data.mul_(factor)


def pixels() -> torch.Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("factor", [1.0, 3e5])
def test_half_precision_gives_what_float32_gives(factor: float, quantised: bool) -> None:
    network = Network(factor, quantised)
    expected = autoencoder.posterior(network, pixels())
    half = copy.deepcopy(network).half()
    half.encoder[0].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in half.state_dict().items()}
    with torch.no_grad():
        overflows = not bool(half.encoder(pixels().half()).isfinite().all())
    assert overflows == (factor > 1)
    found = autoencoder.posterior(half, pixels().half())
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.dtype, ours.shape) == (torch.float32, (2, 4, 2, 2))
        # float16 has eleven bits of mantissa, and the layers add up a few roundings.
        assert torch.allclose(ours, theirs, rtol=0.02, atol=0.02)
    assert all(torch.equal(tensor, before[name]) for name, tensor in half.state_dict().items())


def test_weights_made_in_inference_mode_serve_too() -> None:
    with torch.inference_mode():
        network = Network(3e5, True).half()
    assert all(bool(part.isfinite().all()) for part in autoencoder.posterior(network, pixels().half()))


def test_what_overflows_in_float32_too_is_no_number() -> None:
    network = Network(1e30, True)
    assert not bool(autoencoder.posterior(network, pixels() * 1e30)[0].isfinite().all())
