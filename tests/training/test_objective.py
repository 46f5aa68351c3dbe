"""The objective's numbers, held against those of the reference trainer."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lib_trainer import seeds
from lib_trainer.training import objective

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "training_vectors.json").read_text())["snr"]
TIMESTEPS = torch.tensor(VECTORS["timesteps"])
# DDPM's schedule for all Stable Diffusion models: scaled linear, 0.00085 to 0.012
BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
ALPHAS = torch.cumprod(1 - BETAS, 0)
# Products of a thousand float32 numbers: both sides are right to some 1e-6.
CLOSE = {"rtol": 2e-5, "atol": 1e-7}


def generators(count: int, purpose: str = "test") -> list[torch.Generator]:
    return [seeds.torch_generator(7, purpose, sample) for sample in range(count)]


def batch(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    latents = objective.noise((4, 6, 8), generators(count, "latents"))
    return latents, objective.noise((4, 6, 8), generators(count, "noise"))


def test_schedule_and_snr() -> None:
    torch.testing.assert_close(ALPHAS[TIMESTEPS], torch.tensor(VECTORS["alphas_cumprod"]), **CLOSE)
    torch.testing.assert_close(objective.snr(ALPHAS)[TIMESTEPS], torch.tensor(VECTORS["snr"]), rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("gamma", [1, 5])
@pytest.mark.parametrize(("prediction", "short"), [("epsilon", "eps"), ("v", "v")])
def test_min_snr_weights(gamma: int, prediction: str, short: str) -> None:
    weights = objective.min_snr_weight(torch.tensor(VECTORS["snr"]), gamma, prediction)
    torch.testing.assert_close(weights, torch.tensor(VECTORS[f"min_snr_{short}_gamma{gamma}"]), **CLOSE)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_zero_terminal_snr_needs_nothing_special(prediction: str) -> None:
    """The reference trainer's bug 8 (weights from the schedule before rescaling) is not copied: SNR is this one's."""
    alphas = torch.zeros(1000)
    alphas[TIMESTEPS] = torch.tensor(VECTORS["ztsnr_alphas_cumprod"])
    last = torch.tensor([999, 999, 999, 999])
    latents, noise = batch()
    assert alphas[999] == 0
    assert torch.equal(objective.add_noise(latents, noise, alphas, last), noise)
    assert torch.equal(objective.target("v", noise, latents, alphas, last), -latents)
    weight = objective.min_snr_weight(objective.snr(alphas[last]), 5.0, prediction)
    assert weight.tolist() == [1.0 if prediction == "epsilon" else 0.0] * 4


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


def test_noise_offset_shifts_whole_channels() -> None:
    plain = objective.noise((4, 6, 8), generators(3))
    shifted = objective.noise((4, 6, 8), generators(3), offset=0.1)
    shift = shifted - plain
    torch.testing.assert_close(shift, shift[:, :, :1, :1].expand_as(shift), rtol=0, atol=1e-6)
    drawn = objective.noise((4, 1, 1), [seeds.torch_generator(1, "many", n) for n in range(2000)], offset=1.0)
    assert drawn.std().item() == pytest.approx(2**0.5, rel=0.03)  # sum of two unit normals, 8000 draws


def test_a_batch_draws_what_its_samples_would_alone() -> None:
    together = objective.noise((4, 6, 8), generators(3), offset=0.05)
    for number, generator in enumerate(generators(3)):
        assert torch.equal(objective.noise((4, 6, 8), [generator], offset=0.05)[0], together[number])
    times = objective.timesteps(generators(3))
    assert [objective.timesteps([generator]).item() for generator in generators(3)] == times.tolist()


def test_timesteps_stay_in_their_range() -> None:
    drawn = objective.timesteps([seeds.torch_generator(3, "t", n) for n in range(500)], 10, 13)
    assert drawn.dtype == torch.int64
    assert set(drawn.tolist()) == {10, 11, 12}


def test_posterior_sample_is_scaled() -> None:
    mean = torch.full((2, 4, 3, 3), 2.0)
    exact = objective.sample_posterior(mean, torch.zeros_like(mean), generators(2), 0.5)
    assert torch.equal(exact, torch.ones_like(mean))
    spread = objective.sample_posterior(mean, torch.ones_like(mean), generators(2), 1.0) - mean
    assert torch.allclose(spread, objective.noise((4, 3, 3), generators(2)), atol=1e-6)


def test_loss_is_per_sample_and_float32() -> None:
    predicted = torch.zeros(3, 4, 2, 2, dtype=torch.bfloat16)
    target = torch.tensor([0.0, 0.5, 2.0]).view(3, 1, 1, 1).expand(3, 4, 2, 2)
    plain = objective.loss(predicted, target)
    assert plain.dtype == torch.float32
    assert plain.tolist() == [0.0, 0.25, 4.0]
    assert objective.loss(predicted, target, torch.tensor([1.0, 2.0, 0.5])).tolist() == [0.0, 0.5, 2.0]


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    objective.noise((4, 2, 2), generators(2), 0.1)
    objective.timesteps(generators(2))
    objective.sample_posterior(torch.zeros(2, 4, 2, 2), torch.ones(2, 4, 2, 2), generators(2), 1.0)
    assert torch.equal(before, torch.get_rng_state())
