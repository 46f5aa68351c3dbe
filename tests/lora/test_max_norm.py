"""The limit of how far a network may go."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lib_trainer.lora import max_norm
from tests.lora.adapters import trained


@pytest.mark.parametrize("kind", trained.KINDS)
def test_no_layer_stays_longer_than_allowed(kind: str) -> None:
    _, network = trained.learned(kind)
    before = {name: float(layer.norm()) for name, layer in network.layers.items()}
    middle = sorted(before.values())[len(before) // 2]
    kept = {name: layer.stored() for name, layer in network.layers.items() if before[name] <= middle}
    kept = {name: {part: tensor.clone() for part, tensor in parts.items()} for name, parts in kept.items()}
    norms = max_norm.limit(network, middle)
    after = {name: float(layer.norm()) for name, layer in network.layers.items()}
    assert max(after.values()) <= middle * (1 + 1e-5)
    assert norms.shortened == sum(length > middle * (1 + 1e-6) for length in before.values())
    assert norms.greatest == pytest.approx(max(after.values()), rel=1e-5)
    assert norms.mean == pytest.approx(sum(after.values()) / len(after), rel=1e-5)
    for name, parts in kept.items():
        assert all(torch.equal(tensor, parts[part]) for part, tensor in network.layers[name].stored().items())


def test_it_is_what_sd_scripts_does() -> None:
    """Its apply_max_norm_regularization on the same factors: both times the root of M / n."""
    vectors = json.loads((Path(__file__).parents[1] / "data" / "max_norm.json").read_text("utf8"))
    _, network = trained.fresh("lora")
    names = [name for name, layer in network.layers.items() if layer.down.dim() == 2][:len(vectors["layers"])]
    network.layers = {name: network.layers[name] for name in names}
    cases = dict(zip(names, vectors["layers"], strict=True))
    for name, case in cases.items():
        layer = network.layers[name]
        layer.down.data, layer.up.data = torch.tensor(case["down"]), torch.tensor(case["up"])
        layer.scale = case["scale"]
    norms = max_norm.limit(network, vectors["limit"])
    for name, case in cases.items():
        torch.testing.assert_close(network.layers[name].down.data, torch.tensor(case["down_after"]))
        torch.testing.assert_close(network.layers[name].up.data, torch.tensor(case["up_after"]))
    assert norms.shortened == vectors["shortened"]
    assert (norms.mean, norms.greatest) == pytest.approx((vectors["mean"], vectors["greatest"]))


def test_layers_that_do_not_learn_are_left_alone() -> None:
    _, network = trained.learned("lora")
    network.requires_grad_(False)
    before = network.state_dict(torch.float32)
    assert max_norm.limit(network, 1e-3) == max_norm.Norms(0, 0.0, 0.0)
    after = network.state_dict(torch.float32)
    assert all(torch.equal(before[name], after[name]) for name in before)
