"""Whatever happens in a turn, the host is as it was: same weights in the same place, same flags, same next picture."""
from __future__ import annotations

import pytest
import torch

from lib_trainer.host_model import HostModel
from tests.contract import snapshots, steps
from tests.contract.cases import HostCase


class Stop(Exception):
    """An accident in the middle of training."""


def succeed(model: HostModel) -> None:
    made = steps.network(model)
    with made.attached(model.targets()), model.checkpointing():
        steps.backward(model)


def fail_between_forward_and_backward(model: HostModel) -> None:
    made = steps.network(model)
    with made.attached(model.targets()), model.checkpointing():
        cond = steps.conditioning(model)
        model.predict(torch.zeros(1, 4, 8, 8), torch.tensor([1]), cond)
        raise Stop


def fail_inside_the_network(model: HostModel) -> None:
    """As running out of memory would: the exception comes out of a layer in the middle of a forward pass."""
    def refuse(*_: object) -> None:
        raise Stop

    made = steps.network(model)
    handle = model.targets()[100].module.register_forward_hook(refuse)
    try:
        with made.attached(model.targets()), model.checkpointing():
            steps.backward(model)
    finally:
        handle.remove()


def fail_in_preview(model: HostModel) -> None:
    def refuse(*_: object) -> None:
        raise Stop

    made = steps.network(model)
    handle = model.targets()[-1].module.register_forward_hook(refuse)
    try:
        with made.attached(model.targets()):
            model.preview(steps.picture())
    finally:
        handle.remove()


def cache(model: HostModel) -> None:
    model.encode_images(steps.pixels(2))
    model.encode_captions(["a", "b"], chunks=3)


def preview(model: HostModel) -> None:
    made = steps.network(model)
    with made.attached(model.targets()):
        model.preview(steps.picture())


PHASES = [succeed, cache, preview, fail_between_forward_and_backward, fail_inside_the_network, fail_in_preview]


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
def test_host_is_as_found(case: HostCase, phase: object) -> None:
    picture, before = case.settled(), snapshots.networks(case.networks())
    generators = snapshots.random_generators()
    with case.host.borrow_model() as lease:
        try:
            with lease.turn() as model:
                assert {next(target.module.parameters()).data_ptr() for target in model.targets()} <= {
                    tensor.data_ptr() for network in case.networks() for tensor in network.parameters()}
                phase(model)  # type: ignore[operator]
        except Stop:
            assert phase not in (succeed, cache, preview)
        assert snapshots.random_generators() == generators
        assert snapshots.networks(case.networks()) == before
    assert case.draw() == picture
    assert snapshots.networks(case.networks()) == before


def test_unusual_flags_are_found_again(case: HostCase) -> None:
    case.settled()
    network = case.networks()[0]
    weight = next(iter(network.parameters()))
    found = weight.requires_grad, network.training
    try:
        with torch.inference_mode():  # some hosts' weights take flags nowhere else
            weight.requires_grad_(True)
        network.training = True
        before = snapshots.networks(case.networks())
        with case.host.borrow_model() as lease, lease.turn():
            assert not any(module.training for part in case.networks() for module in part.modules())
            assert not any(tensor.requires_grad for part in case.networks() for tensor in part.parameters())
        assert snapshots.networks(case.networks()) == before
    finally:
        with torch.inference_mode():
            weight.requires_grad_(found[0])
        network.training = found[1]


def test_drawing_leaves_nothing_behind(case: HostCase) -> None:
    case.settled()
    before, generators = snapshots.networks(case.networks()), snapshots.random_generators()
    case.draw("a (cat:1.2), <lora:unknown:1>")
    assert snapshots.networks(case.networks()) == before
    assert snapshots.random_generators() == generators


def test_pictures_during_training_are_those_of_clean_weights(case: HostCase) -> None:
    alone = case.draw()
    with case.host.borrow_model() as lease:
        for _ in range(2):
            with lease.turn() as model:
                made = steps.network(model)
                with made.attached(model.targets()):
                    steps.backward(model)
            assert case.draw() == alone
