"""Weights of timesteps, held against those of the reference trainer; finite everywhere."""
from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.loss import weighting
from tests.training.loss.test_objective import ALPHAS, CLOSE, TIMESTEPS, VECTORS

SNR = torch.tensor(VECTORS["snr"])


def test_the_ratio() -> None:
    torch.testing.assert_close(weighting.snr(ALPHAS)[TIMESTEPS], SNR, rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("gamma", [1, 5])
@pytest.mark.parametrize(("prediction", "short"), [("epsilon", "eps"), ("v", "v")])
def test_min_snr(gamma: int, prediction: str, short: str) -> None:
    weights = weighting.min_snr(SNR, gamma, prediction)
    torch.testing.assert_close(weights, torch.tensor(VECTORS[f"min_snr_{short}_gamma{gamma}"]), **CLOSE)


@pytest.mark.parametrize(("prediction", "short"), [("epsilon", "eps"), ("v", "v")])
def test_debiased_estimation(prediction: str, short: str) -> None:
    torch.testing.assert_close(
        weighting.debiased(SNR, prediction), torch.tensor(VECTORS[f"debiased_{short}"]), **CLOSE)


def test_v_losses_like_noise_losses_and_back() -> None:
    torch.testing.assert_close(weighting.v_like_noise(SNR), torch.tensor(VECTORS["scale_v_pred_like_noise"]), **CLOSE)
    torch.testing.assert_close(weighting.noise_like_v(SNR, 0.5), torch.tensor(VECTORS["v_pred_like_0.5"]), **CLOSE)


def test_weights_multiply() -> None:
    alphas = torch.tensor(VECTORS["alphas_cumprod"])
    both = TrainConfig(min_snr_gamma=5, debiased_estimation=True, v_pred_like_loss=0.5, scale_v_pred_loss=True)
    expected = [torch.tensor(VECTORS[name]) for name in ("min_snr_eps_gamma5", "debiased_eps", "v_pred_like_0.5")]
    found = weighting.of_timesteps(both, "epsilon", alphas)
    assert found is not None
    # 1 - ᾱ of the first timesteps has lost three of seven digits.
    torch.testing.assert_close(found, expected[0] * expected[1] * expected[2], rtol=1e-3, atol=1e-7)
    expected = [torch.tensor(VECTORS[name]) for name in ("min_snr_v_gamma5", "debiased_v", "scale_v_pred_like_noise")]
    found = weighting.of_timesteps(both, "v", alphas)
    assert found is not None
    torch.testing.assert_close(found, expected[0] * expected[1] * expected[2], rtol=1e-3, atol=1e-7)
    assert weighting.of_timesteps(TrainConfig(), "epsilon", alphas) is None


def test_weights_are_of_the_schedule_that_is_trained_with() -> None:
    """The reference trainer takes the ratio from before the rescaling, so its weights are those of other noise."""
    rescaled = torch.tensor(VECTORS["ztsnr_alphas_cumprod"])
    found = weighting.of_timesteps(TrainConfig(min_snr_gamma=5), "v", rescaled)
    assert found is not None
    torch.testing.assert_close(found, weighting.min_snr(rescaled / (1 - rescaled), 5, "v"))
    assert found[-1] == 0.0 and found[-2].item() < VECTORS["min_snr_v_gamma5"][-2]


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@given(gamma=st.floats(0.01, 100), strength=st.floats(0.01, 10), alpha=st.sampled_from([0.0, 1.0, 2.0**-24])
       | st.floats(0.0, 1.0, width=32))
def test_weights_are_finite_and_not_negative_for_every_timestep(
    prediction: str, gamma: float, strength: float, alpha: float
) -> None:
    config = TrainConfig(
        min_snr_gamma=gamma, debiased_estimation=True, v_pred_like_loss=strength, scale_v_pred_loss=True)
    found = weighting.of_timesteps(config, prediction, torch.tensor([alpha]))
    assert found is not None and torch.isfinite(found).all() and found.item() >= 0
