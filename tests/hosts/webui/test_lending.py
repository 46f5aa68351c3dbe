"""Networks in every state a host may leave them in: lent ready for training, given back as found."""
from __future__ import annotations

import pytest
import torch

from lib_trainer.hosts.recompute import recomputed
from lib_trainer.hosts.webui.lending import lent
from tests.contract import snapshots


def network() -> torch.nn.Sequential:
    """Train mode, gradients on, one layer of inference tensors with a buffer."""
    with torch.inference_mode():
        inner = torch.nn.Linear(4, 4)
        inner.register_buffer("table", torch.ones(3))
    return torch.nn.Sequential(torch.nn.Linear(4, 4), inner, torch.nn.Linear(4, 4).eval())


def backward(layers: torch.nn.Sequential) -> torch.Tensor:
    x = torch.ones(2, 4, requires_grad=True)
    layers(x).square().sum().backward()
    assert x.grad is not None
    return x.grad


def test_everything_is_lent_on_the_same_storage_and_given_back() -> None:
    layers = network()
    before, own = snapshots.networks([layers]), list(layers.parameters())
    with lent([layers]):
        assert not any(module.training for module in layers.modules())
        for tensor in (*layers.parameters(), *layers.buffers()):
            assert not tensor.requires_grad and not tensor.is_inference()
        assert [tensor.data_ptr() for tensor in layers.parameters()] == [tensor.data_ptr() for tensor in own]
        backward(layers)
        assert all(tensor.grad is None for tensor in layers.parameters())
    assert snapshots.networks([layers]) == before
    assert all(now is found for now, found in zip(layers.parameters(), own, strict=True))


def test_given_back_after_an_exception() -> None:
    layers = network()
    before = snapshots.networks([layers])
    with pytest.raises(KeyError), lent([layers]):
        raise KeyError
    assert snapshots.networks([layers]) == before


def test_recomputing_gives_the_same_gradients_and_leaves_nothing() -> None:
    layers = network()
    before = snapshots.networks([layers])
    with lent([layers]):
        plain = backward(layers)
        with recomputed(list(layers)):
            assert torch.equal(backward(layers), plain)
    assert snapshots.networks([layers]) == before
