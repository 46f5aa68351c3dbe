"""Every sampler really samples, from the checkpoint's own schedule, without the process-wide random numbers."""
from __future__ import annotations

from typing import Any

import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.host_model import Conditioning
from lib_trainer.hosts.standalone import noise_schedule, samplers
from lib_trainer.hosts.standalone.denoise import Predict, denoise, sampler_step
from lib_trainer.noise_table import LEAST, zero_terminal

ALPHAS = noise_schedule.alphas_cumprod({}, {})
PURE_NOISE = zero_terminal(ALPHAS, LEAST)
CPU = torch.device("cpu")
TOLD = Conditioning(torch.zeros(1, 77, 1))
TARGET = torch.tensor([1.0, -0.5, 0.25, 2.0]).reshape(1, 4, 1, 1)
"""The one picture that the ideal model below knows."""


def ideal(prediction: str, calls: list[int], table: torch.Tensor = ALPHAS) -> Predict:
    """The exact answer for a data set of one picture: noise = (x - sqrt(a) * picture) / sqrt(1 - a)."""
    def predict(noisy: torch.Tensor, times: torch.Tensor, told: Conditioning) -> torch.Tensor:
        calls.append(len(noisy))
        # schedulers of the k-diffusion kind ask at fractional steps: read the table between its places
        low = times.floor().long().clamp(0, 999)
        part = (times - low).reshape(-1, 1, 1, 1)
        here, there = (table.log()[place.clamp(max=999)].reshape(-1, 1, 1, 1) for place in (low, low + 1))
        a = torch.exp(here * (1 - part) + there * part)
        noise = (noisy - a.sqrt() * TARGET) / (1 - a).sqrt()
        return noise if prediction == "epsilon" else a.sqrt() * noise - (1 - a).sqrt() * TARGET
    return predict


def sample(
    name: str, prediction: str = "epsilon", seeds: tuple[int, ...] = (1,), cfg: float = 1.0,
    table: torch.Tensor = ALPHAS,
) -> torch.Tensor:
    calls: list[int] = []
    result = denoise(
        ideal(prediction, calls, table), samplers.make(name, table, prediction), lambda step: (TOLD, TOLD),
        [torch.Generator().manual_seed(seed) for seed in seeds], shape=(4, 4), steps=20, cfg=cfg, device=CPU,
        on_step=lambda done, total: True)
    assert result is not None and set(calls) == {len(seeds) * (1 if cfg == 1 else 2)}
    return result


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("name", samplers.names())
def test_an_ideal_model_is_sampled_exactly(name: str, prediction: str) -> None:
    """With the perfect prediction every sampler must arrive at the picture; what is left is the last step's noise."""
    state = torch.random.get_rng_state()
    found = sample(name, prediction)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.testing.assert_close(found, TARGET.expand(1, 4, 4, 4), rtol=0, atol=0.15)


@pytest.mark.parametrize("name", samplers.names())
def test_a_schedule_that_ends_in_pure_noise_begins_with_it(name: str) -> None:
    """From the last timestep on, where the latents are noise alone, v leads to the picture, brightness and all."""
    if name.endswith("Karras"):
        with pytest.raises(UserError, match=r"zero terminal SNR.* Choose 'DPM\+\+ 2M"):
            samplers.make(name, PURE_NOISE, "v")
        return
    scheduler: Any = samplers.make(name, PURE_NOISE, "v")
    scheduler.set_timesteps(20, device=CPU)
    assert scheduler.timesteps[0] == pytest.approx(999, abs=0.01)
    torch.testing.assert_close(sample(name, "v", table=PURE_NOISE), TARGET.expand(1, 4, 4, 4), rtol=0, atol=0.15)


@pytest.mark.parametrize("name", samplers.names())
def test_a_picture_depends_on_its_own_seed_alone(name: str) -> None:
    both, second = sample(name, seeds=(1, 2)), sample(name, seeds=(2,))
    assert torch.equal(both[1:], second)
    assert torch.equal(sample(name, seeds=(1, 2)), both)


def test_guidance_of_equal_halves_changes_nothing() -> None:
    torch.testing.assert_close(sample("DDIM", cfg=7.0), sample("DDIM"))


def test_prompts_of_different_length_run_one_after_the_other() -> None:
    lengths: list[int] = []

    def predict(noisy: torch.Tensor, times: torch.Tensor, told: Conditioning) -> torch.Tensor:
        lengths.append(told.hidden.shape[1])
        return torch.full_like(noisy, told.hidden.shape[1] / 77)

    long = Conditioning(TOLD.hidden.repeat(1, 2, 1))
    denoise(predict, samplers.make("Euler", ALPHAS, "epsilon"), lambda step: (long, TOLD),
            [torch.Generator().manual_seed(1)], shape=(4, 4), steps=2, cfg=3.0, device=CPU,
            on_step=lambda done, total: True)
    assert lengths == [77, 154, 77, 154]


def test_progress_and_early_end() -> None:
    told: list[tuple[int, int]] = []

    def on_step(done: int, total: int) -> bool:
        told.append((done, total))
        return done < 2

    result = denoise(ideal("epsilon", []), samplers.make("Euler", ALPHAS, "epsilon"), lambda step: (TOLD, TOLD),
                     [torch.Generator().manual_seed(1)], shape=(4, 4), steps=4, cfg=1.0, device=CPU, on_step=on_step)
    assert result is None and told == [(0, 4), (1, 4), (2, 4)]


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("name", samplers.names())
def test_steps_are_those_of_the_sampler_not_calls_of_the_model(name: str, steps: int) -> None:
    """Heun and DPM2 call the model twice a step and once in the last, PLMS twice in the first: never a step more."""
    begun: list[int] = []
    calls: list[int] = []

    def prompts_at(step: int) -> tuple[Conditioning, Conditioning]:
        begun.append(step)
        return TOLD, TOLD

    denoise(ideal("epsilon", calls), samplers.make(name, ALPHAS, "epsilon"), prompts_at,
            [torch.Generator().manual_seed(1)], shape=(4, 4), steps=steps, cfg=1.0, device=CPU,
            on_step=lambda done, total: True)
    assert begun == list(range(1, steps + 1))
    twice = {"Heun", "DPM2", "DPM2 a"}
    assert len(calls) == (2 * steps - 1 if name in twice else steps + 1 if name == "PLMS" and steps > 1 else steps)


@pytest.mark.parametrize(("calls", "steps", "expected"), [
    (4, 4, [1, 2, 3, 4]), (7, 4, [1, 1, 2, 2, 3, 3, 4]), (5, 4, [1, 1, 2, 3, 4]), (3, 2, [1, 1, 2]), (1, 1, [1]),
])
def test_step_of_a_call(calls: int, steps: int, expected: list[int]) -> None:
    assert [sampler_step(call, calls, steps) for call in range(calls)] == expected


def test_schedulers_carry_the_checkpoints_schedule() -> None:
    for name in samplers.names():
        scheduler: Any = samplers.make(name, ALPHAS, "v")
        torch.testing.assert_close(scheduler.alphas_cumprod, ALPHAS, rtol=1e-4, atol=1e-7)


def test_names() -> None:
    assert samplers.resolve("") == samplers.names()[0] == "Euler a"
    assert samplers.resolve(" dpm++ 2m karras") == "DPM++ 2M Karras"
    with pytest.raises(UserError, match=r"no sampler 'Eulr'.*Euler"):
        samplers.resolve("Eulr")
    with pytest.raises(UserError, match="DDIM"):
        samplers.resolve("zzz")
