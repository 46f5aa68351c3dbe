"""The objective's numbers, held against those of the reference trainer."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer import seeds
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.loss import noise as noises
from lib_trainer.training.loss import objective
from lib_trainer.training.settings.loss import HUBER_SCHEDULES, LOSS_TYPES

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "training_vectors.json").read_text())["snr"]
TIMESTEPS = torch.tensor(VECTORS["timesteps"])
# DDPM's schedule for all Stable Diffusion models: scaled linear, 0.00085 to 0.012
BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
ALPHAS = torch.cumprod(1 - BETAS, 0)
# Products of a thousand float32 numbers: both sides are right to some 1e-6.
CLOSE = {"rtol": 2e-5, "atol": 1e-7}


def generators(count: int, purpose: str = "test") -> list[torch.Generator]:
    return [seeds.torch_generator(7, purpose, sample) for sample in range(count)]


def batch(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    latents = noises.normal((4, 6, 8), generators(count, "latents"))
    return latents, noises.normal((4, 6, 8), generators(count, "noise"))


def test_the_schedule() -> None:
    torch.testing.assert_close(ALPHAS[TIMESTEPS], torch.tensor(VECTORS["alphas_cumprod"]), **CLOSE)


@pytest.mark.parametrize("schedule", HUBER_SCHEDULES)
def test_huber_thresholds(schedule: str) -> None:
    config = TrainConfig(huber_schedule=schedule, huber_c=0.1)
    found = objective.huber_threshold(config, torch.tensor(VECTORS["alphas_cumprod"]), TIMESTEPS)
    torch.testing.assert_close(found, torch.tensor(VECTORS[f"huber_c_{schedule}_c0.1"]), **CLOSE)
    scaled = TrainConfig(huber_schedule=schedule, huber_c=0.1, huber_scale=3.0)
    thrice = objective.huber_threshold(scaled, torch.tensor(VECTORS["alphas_cumprod"]), TIMESTEPS)
    torch.testing.assert_close(thrice, 3 * found)  # the reference trainer forgets it for "snr"


@pytest.mark.parametrize("schedule", HUBER_SCHEDULES)
def test_huber_thresholds_are_finite_where_nothing_is_left_of_the_picture(schedule: str) -> None:
    config = TrainConfig(huber_schedule=schedule, huber_c=0.1)
    found = objective.huber_threshold(config, torch.zeros(1), torch.tensor([999]))
    assert found.item() == pytest.approx(0.1, rel=0.01)  # exponential: 0.1^0.999


@pytest.mark.parametrize("kind", LOSS_TYPES)
def test_the_loss_of_an_element(kind: str) -> None:
    errors = torch.tensor([0.0, 0.5, 2.0]).view(1, 1, 1, 3)
    found = objective.elements(kind, errors, torch.zeros_like(errors), torch.tensor([0.1])).flatten()
    torch.testing.assert_close(found, torch.tensor(VECTORS["loss_examples_diff_0_0.5_2_c0.1"][kind]), **CLOSE)


@pytest.mark.parametrize("kind", ["huber", "smooth_l1"])
def test_huber_losses_keep_their_digits_for_small_errors(kind: str) -> None:
    """√(d²+c²)-c loses all digits in float32 where d is a thousandth of c."""
    error = torch.full((1, 1, 1, 1), 1e-5, requires_grad=True)
    loss = objective.elements(kind, error, torch.zeros(1, 1, 1, 1), torch.tensor([0.5])).sum()
    loss.backward()
    factor = 1.0 if kind == "huber" else 1 / 0.5
    assert loss.item() == pytest.approx(factor * 1e-10, rel=1e-4)
    assert error.grad is not None and error.grad.item() == pytest.approx(2 * factor * 1e-5, rel=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_zero_terminal_snr_needs_nothing_special(prediction: str) -> None:
    alphas = torch.zeros(1000)
    alphas[TIMESTEPS] = torch.tensor(VECTORS["ztsnr_alphas_cumprod"])
    last = torch.tensor([999, 999, 999, 999])
    latents, noise = batch()
    assert torch.equal(objective.add_noise(latents, noise, alphas, last), noise)
    wanted = objective.target(prediction, noise, latents, alphas, last)
    assert torch.equal(wanted, noise if prediction == "epsilon" else -latents)


def test_noise_and_velocity_turn_the_same_circle() -> None:
    """With a² = alpha and s² = 1 - alpha: a*x_t - s*v = x0 and s*x_t + a*v = noise (Salimans & Ho, appendix D)."""
    latents, noise = batch()
    steps = torch.tensor([0, 250, 750, 999])
    noisy = objective.add_noise(latents, noise, ALPHAS, steps)
    velocity = objective.target("v", noise, latents, ALPHAS, steps)
    a = ALPHAS[steps].sqrt().view(-1, 1, 1, 1)
    s = (1 - ALPHAS[steps]).sqrt().view(-1, 1, 1, 1)
    torch.testing.assert_close(a * noisy - s * velocity, latents, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(s * noisy + a * velocity, noise, rtol=1e-5, atol=1e-5)
    assert objective.target("epsilon", noise, latents, ALPHAS, steps) is noise


def test_timesteps_belong_to_their_samples_and_stay_in_range() -> None:
    times = objective.timesteps(generators(3))
    assert [objective.timesteps([generator]).item() for generator in generators(3)] == times.tolist()
    drawn = objective.timesteps([seeds.torch_generator(3, "t", n) for n in range(500)], 10, 13)
    assert drawn.dtype == torch.int64
    assert set(drawn.tolist()) == {10, 11, 12}


def test_posterior_sample_is_scaled() -> None:
    mean, drawn = torch.full((2, 4, 3, 3), 2.0), noises.normal((4, 3, 3), generators(2))
    assert torch.equal(objective.sample_posterior(mean, torch.zeros_like(mean), drawn, 0.5), torch.ones_like(mean))
    spread = objective.sample_posterior(mean, torch.ones_like(mean), drawn, 1.0) - mean
    assert torch.allclose(spread, drawn, atol=1e-6)


def test_the_mean_is_per_sample_and_float32() -> None:
    predicted = torch.zeros(3, 4, 2, 2, dtype=torch.bfloat16)
    target = torch.tensor([0.0, 0.5, 2.0]).view(3, 1, 1, 1).expand(3, 4, 2, 2)
    losses = objective.mean(objective.elements("l2", predicted, target))
    assert losses.dtype == torch.float32
    assert losses.tolist() == [0.0, 0.25, 4.0]


@given(cells=st.lists(st.integers(0, 255), min_size=48, max_size=48), error=st.floats(0.01, 10))
def test_the_area_of_a_mask_does_not_change_the_loss_of_an_even_error(cells: list[int], error: float) -> None:
    mask = torch.tensor(cells).view(1, 1, 6, 8) / 255
    loss = objective.mean(torch.full((1, 4, 6, 8), error), mask).item()
    assert loss == (pytest.approx(error, rel=1e-5) if any(cells) else 0.0)


def test_what_a_mask_covers_has_no_gradient_and_the_rest_has_all() -> None:
    values = torch.ones(2, 4, 6, 8, requires_grad=True)
    mask = torch.zeros(2, 1, 6, 8)
    mask[0, :, :3] = 1
    losses = objective.mean(values, mask)
    assert losses.tolist() == [1.0, 0.0]  # the second one's mask is empty
    losses.sum().backward()
    gradient = values.grad
    assert gradient is not None and gradient[0, :, :3].sum().item() == pytest.approx(1.0)
    assert gradient[0, :, 3:].abs().sum() == 0 and gradient[1].abs().sum() == 0


def test_a_full_mask_is_no_mask() -> None:
    values = noises.normal((4, 6, 8), generators(2))
    torch.testing.assert_close(objective.mean(values, torch.ones(2, 1, 6, 8)), objective.mean(values))
