"""What learns and how fast: groups, LoRA+, estimated rates, averages, the end of the text encoder's learning."""
from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.host_model import Target
from lib_trainer.lora.layers import HostShape, LoraLayer
from lib_trainer.lora.network import Network
from lib_trainer.training import config_reading
from lib_trainer.training.learning.ema import Ema
from lib_trainer.training.learning.evaluation import LiveView
from lib_trainer.training.learning.learner import Learner
from lib_trainer.training.resume.stateful import AdapterState

TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"
TEXT_2 = "lora_te2_text_model_encoder_layers_0_mlp_fc1"
IN04 = "lora_unet_down_blocks_1_attentions_0_proj_in"
MID = "lora_unet_mid_block_attentions_0_proj_in"
TOTAL = 40


def network(*names: str) -> Network:
    """Small adapters, all the same, whose up factors are not 0, so that no gradient is."""
    down = 0.4 * torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    return Network([LoraLayer(name, HostShape(5, 6), down.clone(), torch.full((5, 3), 0.1), 3.0)
                    for name in names or (TEXT, IN04, MID)])


def learner(made: Network, total: int = TOTAL, **changes: Any) -> Learner:
    config = config_reading.from_dict({"name": "a", "max_grad_norm": 0, **changes})
    return Learner(config, made, list(made.layers), total, torch.device("cpu"), fp16=False)


def weights(made: Network) -> list[torch.Tensor]:
    return [factor.detach().clone() for layer in made.layers.values() for factor in layer.parameters()]


def learn(of: Learner, made: Network, first: int = 0, last: int = 10, scale: float = 1.0) -> dict[str, float]:
    """Fits every layer to the zero map on data of the update; returns the last update's rates."""
    rates = {}
    for step in range(first, last):
        rates = of.set_rates(step)
        inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        errors = [(layer.delta(inputs) - inputs[:, :5]).square().mean() for layer in made.layers.values()]
        of.backward(scale * torch.stack(errors).sum())
        of.update()
    return rates


def test_rates_by_part() -> None:
    made = network(TEXT, TEXT_2, IN04)
    rates = learner(made, learning_rate="1e-3", unet_lr="2e-3", text_encoder2_lr="5e-4").set_rates(0)
    assert rates == {"unet": 2e-3, "text_encoder": 1e-3, "text_encoder_2": 5e-4}
    rates = learner(made, learning_rate="1e-3", text_encoder_lr="5e-4").set_rates(0)
    assert rates == {"unet": 1e-3, "text_encoder": 5e-4, "text_encoder_2": 5e-4}


def test_a_rate_of_zero_keeps_the_layers_and_learns_nothing() -> None:
    made = network()
    of = learner(made, text_encoder_lr="0")
    before = weights(made)
    learn(of, made)
    assert not of.text_encoder_learns and TEXT in made.layers
    changed = [not torch.equal(*pair) for pair in zip(before, weights(made), strict=True)]
    assert changed == [False, False, True, True, True, True]
    with pytest.raises(UserError, match="Nothing is left to learn"):
        learner(network(TEXT), text_encoder_lr="0")


def test_lora_plus_raises_the_up_factors() -> None:
    made = network()
    of = learner(made, learning_rate="1e-3", lora_plus=16, lora_plus_text_encoder=4)
    assert of.set_rates(0) == {"unet": 1e-3, "unet+": 16e-3, "text_encoder": 1e-3, "text_encoder+": 4e-3}
    groups = {group["name"]: group["params"] for group in of.optimizer.param_groups}
    assert [id(factor) for factor in groups["unet+"]] == [id(made.layers[name].up) for name in (IN04, MID)]
    assert [id(factor) for factor in groups["text_encoder"]] == [id(made.layers[TEXT].down)]


def test_blocks_with_rates_of_their_own() -> None:
    made = network()
    made.rates[IN04] = 0.5
    rates = learner(made, learning_rate="1e-3", lora_plus_unet=2).set_rates(0)
    assert rates == {"unet/IN04": 5e-4, "unet/IN04+": 1e-3, "unet": 1e-3, "unet+": 2e-3, "text_encoder": 1e-3}


def test_a_warm_up_and_a_step_list() -> None:
    of = learner(network(), learning_rate="1e-3", scheduler="constant_with_warmup", warmup="4")
    assert [of.set_rates(step)["unet"] for step in (0, 1, 4, 9)] == [0.0, 2.5e-4, 1e-3, 1e-3]
    of = learner(network(), learning_rate="1e-3:5, 1e-4", lora_plus_unet=2)
    assert [of.set_rates(step)["unet+"] for step in (4, 5)] == [2e-3, 2e-4]


def test_a_schedule_by_class_moves_every_group() -> None:
    of = learner(network(), learning_rate="1e-3", text_encoder_lr="5e-4", scheduler="StepLR",
                 scheduler_args="step_size=3 gamma=0.5")
    assert of.set_rates(7) == {"unet": 2.5e-4, "text_encoder": 1.25e-4}
    with pytest.raises(UserError, match="cannot be asked for update"):
        learner(network(), scheduler="OneCycleLR", scheduler_args="max_lr=0.1 total_steps=20")


@pytest.mark.parametrize("optimizer", ["Prodigy", "DAdaptAdam", "DAdaptLion", "DAdaptAdan", "DAdaptSGD",
                                       "DAdaptAdaGrad"])
def test_parts_learn_in_the_ratio_of_their_rates(optimizer: str) -> None:
    """One estimate d, and a part with half the rate moves half as far; other trainers ignore or refuse that.

    Both parts hold the same layer and see the same gradients, so they differ by their rates alone.
    """
    made = network(TEXT, MID)
    of = learner(made, optimizer=optimizer, learning_rate="1", text_encoder_lr="0.5", optimizer_args="d0=1e-05")
    before = weights(made)
    rates = learn(of, made, last=2)
    assert rates["text_encoder"] == pytest.approx(rates["unet"] / 2)
    moved = [new - old for new, old in zip(weights(made), before, strict=True)]
    assert all(float(step.abs().sum()) > 0 for step in moved)
    for text, unet in zip(moved[:2], moved[2:], strict=True):
        # A step is some 1e-5 of a weight, which float32 holds to 1e-7 of it.
        assert float((text - unet / 2).norm()) < 0.05 * float(unet.norm())


def test_units_are_the_authors_layer_scale() -> None:
    """D-Adaptation's own DAdaptAdam scales a group by `layer_scale`: the same numbers."""
    import dadaptation

    made, theirs = network(TEXT, MID), network(TEXT, MID)
    of = learner(made, optimizer="DAdaptAdam", learning_rate="1", text_encoder_lr="0.25")
    learn(of, made, last=10)
    optimizer = dadaptation.DAdaptAdam([
        {"params": list(theirs.layers[MID].parameters()), "layer_scale": 1.0},
        {"params": list(theirs.layers[TEXT].parameters()), "layer_scale": 0.25}])
    for step in range(10):
        inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        sum((layer.delta(inputs) - inputs[:, :5]).square().mean() for layer in theirs.layers.values()).backward()
        optimizer.step()
    # Rounding of float32, which d enlarges while it grows ten-thousandfold.
    for ours, other in zip(weights(made), weights(theirs), strict=True):
        assert torch.allclose(ours, other, atol=1e-4)


def test_the_ratio_of_rates_stays_where_a_run_goes_on() -> None:
    rates = {"optimizer": "Prodigy", "learning_rate": "1", "text_encoder_lr": "0.5"}
    before = learner(network(), **rates).stateful["units"].state_dict()
    learner(network(), **{**rates, "learning_rate": "0.4", "text_encoder_lr": "0.2"}).stateful["units"].load_state_dict(
        before)
    with pytest.raises(UserError, match=r"1 : 0\.5 to each other and are 1 : 1 now"):
        learner(network(), **{**rates, "text_encoder_lr": "1"}).stateful["units"].load_state_dict(before)


def test_warm_up_does_not_disturb_an_estimate() -> None:
    made = network()
    of = learner(made, optimizer="DAdaptSGD", learning_rate="1", scheduler="constant_with_warmup", warmup="3")
    before = weights(made)
    learn(of, made, last=1)
    assert all(torch.equal(*pair) for pair in zip(before, weights(made), strict=True))
    learn(of, made, 1, 10)
    assert not torch.equal(before[0], weights(made)[0])


def test_the_text_encoder_stops() -> None:
    made = network()
    of = learner(made, stop_text_encoder="25%", learning_rate="1e-2")
    assert learn(of, made, last=10)["text_encoder"] == 1e-2
    at_stop = weights(made)
    rates = learn(of, made, 10, 15)
    assert rates == {"unet": 1e-2, "text_encoder": 0.0}
    changed = [not torch.equal(*pair) for pair in zip(at_stop, weights(made), strict=True)]
    assert changed == [False, False, True, True, True, True]
    assert not any(factor.requires_grad for factor in made.layers[TEXT].parameters())
    of.set_rates(15)
    for factor in of.parameters:
        factor.grad = torch.zeros_like(factor)  # as several processes send them
    of.update()
    assert torch.equal(at_stop[0], weights(made)[0]) and not torch.equal(at_stop[2], weights(made)[2])


def test_gradients_are_clipped_together() -> None:
    steps = []
    for limit in (0.0, 1e-3):
        made = network()
        before = weights(made)
        of = learner(made, optimizer="SGDNesterov", optimizer_args="momentum=0.9", learning_rate="1",
                     max_grad_norm=limit)
        learn(of, made, last=1, scale=100.0)
        steps.append(torch.cat([(new - old).flatten() for new, old in zip(weights(made), before, strict=True)]))
    # Nesterov's first step is 1.9 times the gradient.
    assert float(steps[1].norm()) == pytest.approx(1.9e-3, rel=1e-3)
    assert torch.allclose(steps[1] / steps[1].norm(), steps[0] / steps[0].norm(), atol=1e-4)  # of float32 weights


def test_the_average_is_used_and_the_trained_weights_come_back() -> None:
    made = network()
    of = learner(made, ema_decay=0.9, learning_rate="1e-2")
    start, expected = weights(made), weights(made)
    for step in range(12):
        learn(of, made, step, step + 1)
        decay = min(0.9, (2 + step) / (11 + step))
        expected = [old * decay + new * (1 - decay) for old, new in zip(expected, weights(made), strict=True)]
    trained = weights(made)
    with of.evaluating(), of.evaluating():
        for average, wanted in zip(weights(made), expected, strict=True):
            assert torch.allclose(average, wanted, atol=1e-6)  # float32 in another order
    assert all(torch.equal(*pair) for pair in zip(trained, weights(made), strict=True))
    assert not torch.equal(start[0], trained[0])


@pytest.mark.parametrize("changes", [
    {"optimizer": "AdamWScheduleFree"}, {"optimizer": "RAdamScheduleFree"},
    {"optimizer": "SGDScheduleFree", "learning_rate": "0.1"}, {"ema_decay": 0.99},
])
def test_looking_in_between_changes_nothing(changes: dict[str, Any]) -> None:
    """Files and previews, as many as one likes: the run stays the same bit for bit."""
    ends = []
    for looks in (False, True):
        made = network()
        of = learner(made, **{"learning_rate": "1e-2", **changes})
        for step in range(20):
            learn(of, made, step, step + 1)
            if looks and step % 3 == 0:
                trained = weights(made)
                with of.evaluating():
                    used = weights(made)
                assert not torch.equal(used[0], trained[0]) or step < 10  # RAdam begins late
        with of.evaluating():
            ends.append(weights(made))
    assert all(torch.equal(*pair) for pair in zip(*ends, strict=True))


def test_a_generation_draws_with_the_weights_to_be_used() -> None:
    made = network()
    of = learner(made, optimizer="AdamWScheduleFree", learning_rate="1e-2")
    learn(of, made)
    modules = [Target(name, torch.nn.Linear(6, 5)) for name in made.layers]
    live, trained = LiveView(made, of.evaluating), weights(made)
    assert live.layers.keys() == made.layers.keys() and not live.is_attached
    with live.attached(modules, {MID: 0.5}):
        assert live.is_attached and made.layers[MID].multiplier == 0.5
        assert not torch.equal(weights(made)[0], trained[0])
    assert torch.equal(weights(made)[0], trained[0])


@pytest.mark.parametrize("changes", [{"optimizer": "AdamWScheduleFree"}, {"ema_decay": 0.9}])
def test_a_state_written_while_a_picture_is_drawn_is_of_what_is_trained(changes: dict[str, Any]) -> None:
    whole, made, other = network(), network(), network()
    learn(learner(whole, **changes), whole, last=16)
    of = learner(made, **changes)
    learn(of, made, last=9)
    with LiveView(made, of.evaluating).attached([Target(name, torch.nn.Linear(6, 5)) for name in made.layers]):
        kept = copy.deepcopy({"network": AdapterState(made, of.trained).state_dict(),
                              **{name: part.state_dict() for name, part in of.stateful.items()}})
    going_on = learner(other, **changes)
    for name, part in {"network": AdapterState(other, going_on.trained), **going_on.stateful}.items():
        part.load_state_dict(kept[name])
    learn(going_on, other, 9, 16)
    assert all(torch.equal(*pair) for pair in zip(weights(whole), weights(other), strict=True))


@pytest.mark.parametrize("changes", [
    {}, {"optimizer": "Prodigy", "learning_rate": "1", "text_encoder_lr": "0.3"}, {"ema_decay": 0.99},
    {"optimizer": "AdamWScheduleFree"}, {"optimizer": "Adafactor", "optimizer_args": "relative_step=True"},
    {"lora_plus": 16, "scheduler": "CosineAnnealingWarmRestarts", "scheduler_args": "T_0=4"},
    {"optimizer": "pytorch_optimizer.Kron", "learning_rate": "1e-3"},  # draws random numbers
    {"stop_text_encoder": "10", "scheduler": "cosine", "optimizer": "CAME"},
])
def test_a_run_goes_on_as_if_it_had_never_ended(changes: dict[str, Any]) -> None:
    whole, first, second = network(), network(), network()
    learn(learner(whole, **changes), whole, last=16)
    half = learner(first, **changes)
    learn(half, first, last=9)
    other = learner(second, **changes)
    for new, old in zip(second.layers.values(), first.layers.values(), strict=True):
        new.load_state_dict(old.state_dict())
    for name, part in other.stateful.items():
        part.load_state_dict(half.stateful[name].state_dict())
    learn(other, second, 9, 16)
    with learner(whole, **changes).evaluating():
        pass
    assert all(torch.equal(*pair) for pair in zip(weights(whole), weights(second), strict=True))


def test_an_average_in_half_precision_is_kept_whole() -> None:
    weight = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    ema = Ema([weight], 0.999)
    weight.data.fill_(1.5)
    for _ in range(2000):
        ema.update()
    assert ema.averages[0].dtype == torch.float32
    assert torch.allclose(ema.averages[0], torch.full((3,), 1.5), atol=0.2)
