"""One micro-batch on a real model: masks, weights, samples that keep the base, batches and their samples."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lib_trainer import seeds
from lib_trainer.data.buckets import Placement
from lib_trainer.data.caches.latent_cache import Latents
from lib_trainer.data.item import Item
from lib_trainer.data.loading import Loaded, Loader
from lib_trainer.data.picture_rules import Look
from lib_trainer.data.sample import Batch, Sample
from lib_trainer.data.subsets import Subset
from lib_trainer.host_model import HostModel
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import network
from lib_trainer.lora.network import Network, NetworkSpec
from lib_trainer.training import config_reading, step
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.forward_pass import predict
from lib_trainer.training.loss import noise
from lib_trainer.training.micro_batch import Drawn, Inputs, Losses
from tests.training.runs import changing

PLACED = Look(Placement((64, 64), (64, 64), (0, 0), 0.0))
SHAPE = (4, 8, 8)
TRAINED, KEEPS = Subset("zko"), Subset("class", is_reg=True, prefix="reg/", keeps_base=True)
# The kernels for one sample and for four add up in another order, through some hundred layers.
ROUNDING = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture
def model(host: StandaloneHost) -> Iterator[HostModel]:
    with host.borrow_model() as lease, lease.turn() as model:
        yield model


@pytest.fixture
def adapters(model: HostModel) -> Network:
    """Adapters of U-Net and text encoder that change something."""
    return changing(model, NetworkSpec(rank=2, alpha=2.0))


def sample(number: int, subset: Subset = TRAINED) -> Sample:
    item = Item(subset, f"{number}.png", f"tag {number}", 64, 64, True)
    return Sample(item, PLACED, item.caption, 0, f"{item.key}#0")


def drawn(samples: list[Sample], masks: torch.Tensor | None = None) -> Drawn:
    def generators(purpose: str) -> list[torch.Generator]:
        return [seeds.torch_generator(3, purpose, one.key) for one in samples]

    latents = [Latents(mean, torch.zeros(SHAPE)) for mean in noise.normal(SHAPE, generators("latents"))]
    timesteps = [seeds.python(3, "timestep", one.key).randrange(1000) for one in samples]
    return Drawn(Loaded(Batch(samples), latents, None, masks, None), torch.tensor(timesteps),
                 torch.zeros(len(samples), *SHAPE), noise.plain(SHAPE, generators))


def losses(model: HostModel, made: Network, given: Drawn, config: TrainConfig | None = None) -> Losses:
    inputs = Inputs(Loader(), text_grad=True, autocast=None, objective=step.DENOISING, without_adapters=made.silent)
    with made.attached(model.targets()):
        return step.losses(config or TrainConfig(), inputs, model, given)


@pytest.mark.parametrize("options", [
    {}, {"loss_type": "huber", "min_snr_gamma": 5.0}, {"loss_type": "smooth_l1", "debiased_estimation": True},
])
def test_a_batch_is_its_samples(model: HostModel, adapters: Network, options: dict[str, object]) -> None:
    samples, config = [sample(0), sample(1, KEEPS), sample(2)], config_reading.from_dict(options)
    masks = torch.rand(3, 1, 8, 8, generator=seeds.torch_generator(1, "masks"))
    together = losses(model, adapters, drawn(samples, masks), config)
    alone = [losses(model, adapters, drawn([one], masks[index : index + 1]), config)
             for index, one in enumerate(samples)]
    torch.testing.assert_close(together.weighted, torch.cat([one.weighted for one in alone]), **ROUNDING)
    torch.testing.assert_close(together.plain, torch.cat([one.plain for one in alone]), **ROUNDING)


def test_marked_samples_learn_what_the_base_says(model: HostModel, adapters: Network) -> None:
    """In a mixed batch: with silent adapters there is nothing to learn of them, and the others are as ever."""
    samples = [sample(0), sample(1, KEEPS), sample(2), sample(3, KEEPS)]
    plain = losses(model, adapters, drawn([sample(0), sample(1), sample(2), sample(3)]))
    mixed = losses(model, adapters, drawn(samples))
    torch.testing.assert_close(mixed.plain[[0, 2]], plain.plain[[0, 2]], **ROUNDING)
    assert (mixed.plain[[1, 3]] > 1e-4).all() and not torch.allclose(mixed.plain[[1, 3]], plain.plain[[1, 3]])
    fresh = network.create(model.targets(), NetworkSpec(rank=2, alpha=2.0), model.checkpoint.family, 1)
    untouched = losses(model, fresh, drawn(samples))
    torch.testing.assert_close(untouched.plain[[1, 3]], torch.zeros(2), rtol=0, atol=1e-8)
    assert (untouched.plain[[0, 2]] > 0.1).all()


def test_the_base_of_a_continued_lora_knows_nothing_of_its_text_encoder(model: HostModel, adapters: Network) -> None:
    """Cached text states were made while it acted."""
    given = drawn([sample(0), sample(1, KEEPS)])
    with adapters.attached(model.targets()), torch.no_grad():
        states = model.encode_captions([one.caption for one in given.samples])
    cached = replace(given, loaded=replace(given.loaded, states=states))
    continued = TrainConfig(continue_from="mine")
    torch.testing.assert_close(losses(model, adapters, cached, continued).plain,
                               losses(model, adapters, given, continued).plain, **ROUNDING)


def test_the_base_has_no_gradient_and_the_adapters_are_back(model: HostModel, adapters: Network) -> None:
    for layer in adapters.layers.values():
        layer.requires_grad_(True)
    found = losses(model, adapters, drawn([sample(0), sample(1, KEEPS)]))
    assert all(layer.multiplier == 1.0 for layer in adapters.layers.values())
    with adapters.attached(model.targets()):
        found.weighted.sum().backward()
    gradients = [weight.grad for layer in adapters.layers.values() for weight in layer.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_weights_of_subsets(model: HostModel, adapters: Network) -> None:
    heavy = replace(TRAINED, loss_weight=3.0)
    found = losses(model, adapters, drawn([sample(0), sample(1, heavy)]))
    torch.testing.assert_close(found.weighted, found.plain * torch.tensor([1.0, 3.0]))


def test_a_mask_hides_what_it_covers(model: HostModel, adapters: Network) -> None:
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, :, :, :4] = 1.0
    given = drawn([sample(0), sample(1)], masks)
    first = losses(model, adapters, given).plain
    assert first[0] > 0 and first[1] == 0.0
    base = given.noise.base.clone()
    inputs = Inputs(Loader(), False, None, step.DENOISING, adapters.silent)
    with adapters.attached(model.targets()), torch.no_grad():
        noised = step.noise_latents(TrainConfig(), model, given)
        said = predict(TrainConfig(), inputs, model, given.samples, None, noised.noisy, noised.timesteps)
    torch.testing.assert_close(first[0], (said - base)[0, :, :, :4].square().mean(), **ROUNDING)


def test_the_same_step_again_is_the_same(model: HostModel, adapters: Network) -> None:
    given = drawn([sample(0), sample(1)])
    assert torch.equal(losses(model, adapters, given).weighted, losses(model, adapters, given).weighted)


def test_errors_are_plain_whatever_is_trained_with(model: HostModel, adapters: Network) -> None:
    given, inputs = drawn([sample(0), sample(1)]), Inputs(Loader(), True, None, step.DENOISING, adapters.silent)
    wild = TrainConfig(loss_type="huber", min_snr_gamma=5.0)
    with adapters.attached(model.targets()):
        found = step.errors(wild, inputs, model, given)
    assert not found.requires_grad
    torch.testing.assert_close(found, losses(model, adapters, given).plain, **ROUNDING)
