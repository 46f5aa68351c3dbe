"""Noise and its variations: what belongs to a sample alone, and what distribution comes out."""
from __future__ import annotations

import pytest
import torch

from lib_trainer import seeds
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.loss import noise as noises
from lib_trainer.training.loss.noise import Noise

SHAPE = (4, 12, 16)
EVERYTHING = TrainConfig(
    noise_offset=0.3, noise_offset_random=True, adaptive_noise_scale=0.5, multires_iterations=6, multires_discount=0.4,
    ip_noise_gamma=0.2, ip_noise_gamma_random=True)


def drawn(config: TrainConfig, samples: list[int], shape: tuple[int, int, int] = SHAPE) -> Noise:
    return noises.draw(config, shape, lambda purpose: [seeds.torch_generator(7, purpose, one) for one in samples])


def latents(samples: list[int], shape: tuple[int, int, int] = SHAPE) -> torch.Tensor:
    return noises.normal(shape, [seeds.torch_generator(7, "latents", one) for one in samples])


def mixed(config: TrainConfig, samples: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    return noises.mixed(drawn(config, samples), latents(samples), config.adaptive_noise_scale)


def test_plain_noise() -> None:
    wanted, given = mixed(TrainConfig(), [0, 1])
    assert wanted is given
    assert torch.equal(wanted, noises.plain(SHAPE, lambda purpose: [
        seeds.torch_generator(7, purpose, one) for one in (0, 1)]).base)


def test_a_batch_draws_what_its_samples_would_alone() -> None:
    for together, *alone in zip(mixed(EVERYTHING, [0, 1, 2]), *(mixed(EVERYTHING, [one]) for one in range(3)),
                                strict=True):
        torch.testing.assert_close(together, torch.cat(alone))


def test_an_option_leaves_the_other_numbers_alone() -> None:
    plain, all_on = drawn(TrainConfig(), [0, 1]), drawn(EVERYTHING, [0, 1])
    assert torch.equal(plain.base, all_on.base)
    only_offset = drawn(TrainConfig(noise_offset=0.3), [0, 1])
    assert only_offset.offsets is not None and all_on.offsets is not None
    assert torch.equal(only_offset.offsets, all_on.offsets)


def test_noise_offset_shifts_whole_channels() -> None:
    plain, _ = mixed(TrainConfig(), [0, 1, 2])
    shift = mixed(TrainConfig(noise_offset=0.1), [0, 1, 2])[0] - plain
    torch.testing.assert_close(shift, shift[:, :, :1, :1].expand_as(shift), rtol=0, atol=1e-6)
    many = drawn(TrainConfig(noise_offset=1.0), list(range(2000)), (4, 1, 1))
    total, _ = noises.mixed(many, torch.zeros(2000, 4, 1, 1))
    assert total.std().item() == pytest.approx(2**0.5, rel=0.03)  # sum of two unit normals, 8000 draws


def test_a_random_strength_is_each_samples_own() -> None:
    many = drawn(TrainConfig(noise_offset=0.2, noise_offset_random=True), list(range(500)), (4, 1, 1)).strengths
    assert many is not None and many.shape == (500, 1, 1, 1)
    assert many.min() >= 0 and many.max() <= 0.2
    assert many.mean().item() == pytest.approx(0.1, rel=0.1)  # 500 draws: 3 standard errors are 0.0077
    assert len(many.unique()) > 490


def test_the_adaptive_offset_follows_the_brightness_of_each_channel() -> None:
    config = TrainConfig(noise_offset=0.1, adaptive_noise_scale=0.5)
    given = drawn(config, [0])
    bright = torch.zeros(1, 4, 12, 16)
    bright[:, 1], bright[:, 2] = 2.0, -2.0  # the sign does not matter
    shift = noises.mixed(given, bright, 0.5)[0] - given.base
    assert given.offsets is not None
    torch.testing.assert_close(shift[0, :, 0, 0], given.offsets.flatten() * torch.tensor([0.1, 1.1, 1.1, 0.1]),
                               rtol=1e-4, atol=1e-5)
    # A negative scale never makes the offset negative.
    shift = noises.mixed(given, bright, -0.5)[0] - given.base
    torch.testing.assert_close(shift[0, 1:3], torch.zeros(2, 12, 16))


def test_multires_noise_is_coarse_and_has_the_spread_of_plain_noise() -> None:
    config = TrainConfig(multires_iterations=8, multires_discount=0.8)
    wanted, _ = mixed(config, [0, 1, 2])
    for sample in wanted:
        assert sample.std().item() == pytest.approx(1.0, abs=1e-5)  # sample by sample, not over the batch
    plain, _ = mixed(TrainConfig(), [0, 1, 2])
    neighbours = (wanted[..., 1:] * wanted[..., :-1]).mean().item()
    assert neighbours > 0.2 > abs((plain[..., 1:] * plain[..., :-1]).mean().item()) + 0.1


def test_octaves_end_where_a_side_is_one_cell() -> None:
    generator = seeds.torch_generator(1, "p")
    few, many = (noises.pyramid((4, 2, 2), seeds.torch_generator(1, "p"), octaves, 1.0) for octaves in (2, 50))
    assert torch.equal(few, many)  # 2 -> 1 at octave 1: the 48 others do not exist
    tall = noises.pyramid((4, 3, 64), generator, 30, 0.3)
    assert tall.shape == (4, 3, 64) and tall.isfinite().all()


def test_input_perturbation_is_not_predicted() -> None:
    wanted, given = mixed(TrainConfig(ip_noise_gamma=0.25), list(range(40)))
    assert torch.equal(wanted, mixed(TrainConfig(), list(range(40)))[0])
    assert (given - wanted).std().item() == pytest.approx(0.25, rel=0.02)  # 30,000 draws
    varied = noises.mixed(drawn(TrainConfig(ip_noise_gamma=0.25, ip_noise_gamma_random=True), list(range(40))),
                          latents(list(range(40))))
    spreads = (varied[1] - varied[0]).std(dim=(1, 2, 3))
    assert spreads.max() < 0.27 and spreads.min() < 0.05


def test_the_process_wide_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    mixed(EVERYTHING, [0, 1])
    assert torch.equal(before, torch.get_rng_state())
