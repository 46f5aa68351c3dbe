"""What is left out in training: how much, for whom, and always the same at the same place of a run."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lib_trainer.families.sd1 import SD1
from lib_trainer.host_model import Target
from lib_trainer.lora import network as networks
from lib_trainer.lora.adapters.form import Dropout
from lib_trainer.lora.adapters.masks import Masks
from lib_trainer.lora.network import Network
from tests.lora.adapters import trained
from tests.lora.models import ATTENTION, KERNEL


def with_dropout(kind: str, dropout: Dropout) -> tuple[list[Target], Network]:
    """Returns a network that has learned something and leaves something out in turns."""
    found, network = trained.learned(kind)
    network.dropout = dropout
    return found, network


@contextmanager
def turn(found: list[Target], network: Network, number: int | None = 5) -> Iterator[None]:
    """A turn of training; None = one in which nothing is left out."""
    with network.attached(found):
        network.begin_turn(None if number is None else torch.Generator().manual_seed(number))
        yield


EVERY = Dropout(network=0.3, rank=0.3, module=0.3)


def drawn(found: list[Target], network: Network, number: int | None) -> dict[str, Tensor]:
    with turn(found, network, number):
        return trained.outputs(found)


@pytest.mark.parametrize("kind", ["lora", "lora_fa", "lora_tucker", "loha", "lokr", "oft", "dora", "glora", "dylora"])
def test_a_turn_is_a_function_of_its_generator(kind: str) -> None:
    found, network = with_dropout(kind, EVERY)
    first, again, other = (drawn(found, network, number) for number in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", ["lora", "loha", "dylora", "norms"])
def test_nothing_is_left_out_elsewhere(kind: str) -> None:
    """In previews, generations and validation, and after a turn that left something out."""
    found, network = with_dropout(kind, EVERY)
    with network.attached(found):
        whole = trained.outputs(found)
    drawn(found, network, 1)
    with network.attached(found):
        after = trained.outputs(found)
    without = drawn(found, network, None)
    for name, output in whole.items():
        assert torch.equal(output, after[name]) and torch.equal(output, without[name])
    with turn(found, network, 1):
        network.begin_turn(None)
        assert all(torch.equal(whole[name], output) for name, output in trained.outputs(found).items())


@pytest.mark.parametrize("kind", ["lora", "loha", "dylora"])
def test_checkpointing_meets_the_same_masks(kind: str) -> None:
    gradients = []
    for recompute in (False, True):
        found, network = with_dropout(kind, EVERY)
        with turn(found, network):
            gradients.append(trained.gradients(found, network, recompute))
    assert any(gradient is not None and gradient.any() for gradient in gradients[0])
    for one, other in zip(*gradients, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_network_dropout_is_that_of_the_thin_activation() -> None:
    masks = Masks(3, Dropout(network=0.25))
    hidden = torch.ones(4, 500, 8)
    thin = masks.thin("x", hidden)
    assert sorted(thin.unique().tolist()) == pytest.approx([0.0, 1 / 0.75])
    # 16,000 draws: a share of 0.25 lies within five standard deviations of 0.0034.
    assert float((thin == 0).float().mean()) == pytest.approx(0.25, abs=0.017)
    assert not torch.equal(thin, masks.thin("y", hidden))


@pytest.mark.parametrize("shape", [(64, 5, 20), (64, 20, 3, 3), (64, 20)])
def test_ranks_rest_per_sample(shape: tuple[int, ...]) -> None:
    thin = Masks(3, Dropout(rank=0.5)).thin("x", torch.ones(shape))
    axis = 1 if len(shape) == 4 else -1
    by_sample = thin.movedim(axis, 1).flatten(2) if thin.dim() > 2 else thin[:, :, None]
    assert bool((by_sample == by_sample[..., :1]).all())  # a rank rests in all places of a picture
    assert sorted(by_sample.unique().tolist()) == [0.0, 2.0]
    assert len({tuple(row.tolist()) for row in by_sample[..., 0]}) > 32  # and others in another picture


def test_rows_of_a_change_rest_for_the_whole_batch() -> None:
    rows = Masks(3, Dropout(rank=0.5)).rows("x", torch.ones(400, 6, 3, 3))
    assert bool((rows == rows[:, :1, :1, :1]).all())
    assert sorted(rows.unique().tolist()) == [0.0, 2.0]


def test_modules_rest_for_the_whole_batch() -> None:
    found, network = with_dropout("lora", Dropout(module=0.5))
    clean = trained.outputs(found)
    rested = {name: 0 for name in network.layers}
    for number in range(40):
        for name, output in drawn(found, network, number).items():
            if name in rested:
                rested[name] += torch.equal(output, clean[name])
    # 40 turns with p = 0.5 for each layer: five standard deviations are 16.
    assert all(4 <= count <= 36 for count in rested.values())
    assert {layer.multiplier for layer in network.layers.values()} == {1.0}


def test_strengths_that_were_set_come_back() -> None:
    found, network = with_dropout("lora", Dropout(module=0.9))
    with network.attached(found, dict.fromkeys(network.layers, 0.5)):
        network.begin_turn(torch.Generator().manual_seed(1))
        assert 0.0 in {layer.multiplier for layer in network.layers.values()}
        network.begin_turn(None)
        assert {layer.multiplier for layer in network.layers.values()} == {0.5}


@pytest.mark.parametrize("name", [ATTENTION, KERNEL])
def test_on_average_nothing_is_lost(name: str) -> None:
    """The mean over many turns is the output without dropout."""
    found, network = with_dropout("lora", Dropout(network=0.2, rank=0.2))
    layer, x = network.layers[name], trained.input_for(next(t for t in found if t.name == name))
    whole = layer.delta(x)
    total = torch.zeros_like(whole)
    for number in range(400):
        layer.masks = Masks(number, network.dropout)
        total += layer.delta(x).detach()
    # The variance of one draw is about 0.6 of the square of an entry; 400 draws leave 4 % of the output's own size.
    assert float((total / 400 - whole.detach()).norm() / whole.detach().norm()) < 0.12


@pytest.mark.parametrize("unit", [1, 2])
def test_dylora_learns_one_unit_in_a_turn(unit: int) -> None:
    spec = replace(trained.KINDS["dylora"], rank=4, conv_rank=4, form=replace(trained.KINDS["dylora"].form, unit=unit))
    found = trained.targets()
    network = networks.create(found, spec, SD1, 0)
    for layer in network.layers.values():
        for up in layer.ups:
            nn.init.normal_(up)
    picked = set()
    for number in range(30):
        for layer in network.layers.values():
            layer.zero_grad()
        with turn(found, network, number):
            trained.outputs(found)[ATTENTION].sum().backward()
        layer = network.layers[ATTENTION]
        learned = [index for index, down in enumerate(layer.downs) if down.grad is not None and down.grad.any()]
        assert len(learned) == 1
        assert [index for index, up in enumerate(layer.ups) if up.grad is not None] == learned
        picked.update(learned)
    assert picked == set(range(4 // unit))


def test_dylora_makes_up_for_the_ranks_it_trains() -> None:
    found, network = trained.learned("dylora")
    x = trained.input_for(found[0])
    layer = network.layers[found[0].name]
    whole = layer.delta(x)
    factors = set()
    for number in range(20):
        layer.masks = Masks(number, network.dropout)
        factors.add(round(float((layer.delta(x) / whole).mean().detach()), 4))
    assert factors == {round((2 / 1) ** 0.5, 4), 1.0}


def test_the_process_wide_generator_is_left_alone() -> None:
    found, network = with_dropout("lora", EVERY)
    before = torch.get_rng_state()
    drawn(found, network, 1)
    assert torch.equal(before, torch.get_rng_state())
