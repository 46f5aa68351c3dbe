"""Settings of noise, loss and validation that contradict each other, the checkpoint, or the pictures."""
from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lib_trainer.errors import Problems
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, forecast
from lib_trainer.training.checks import objective
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from tests.conftest import Settings
from tests.training.test_recipe import train


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"adaptive_noise_scale": 0.1}, "adaptive_noise_scale = 0.1 changes the noise offset, which is 0"),
    ({"noise_offset_random": True}, "noise_offset_random = True changes the noise offset, which is 0"),
    ({"ip_noise_gamma_random": True}, "draws up to ip_noise_gamma, which is 0"),
    ({"scale_v_pred_loss": True, "v_pred_like_loss": 0.5}, "keep the one that fits the base model"),
    ({"early_stopping": 2, "max_validation_steps": 3}, "max_validation_steps = 3 and early_stopping = 2: nothing"),
    ({"min_timestep": 500, "max_timestep": 500}, "must be less than"),
])
def test_contradictions(settings: Settings, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(Problems, match=sentence):
        settings(**changes)


def test_all_of_them_at_once(settings: Settings) -> None:
    with pytest.raises(Problems) as caught:
        settings(adaptive_noise_scale=0.1, ip_noise_gamma_random=True, early_stopping=1, huber_c=0)
    assert len(caught.value.problems) == 4


def test_kohyas_names(settings: Settings) -> None:
    made = settings(
        debiased_estimation_loss=True, multires_noise_iterations=6, multires_noise_discount=0.4, noise_offset=0.1,
        noise_offset_random_strength=True, ip_noise_gamma=0.1, ip_noise_gamma_random_strength=True,
        validation_split=0.2, validate_every_n_steps=5)
    assert made.debiased_estimation and made.multires_iterations == 6 and made.multires_discount == 0.4
    assert made.noise_offset_random and made.ip_noise_gamma_random and made.validate_every_steps == 5


def test_options_for_the_other_prediction(host: StandaloneHost, settings: Settings) -> None:
    noise = host.checkpoint()
    velocity = dataclasses.replace(noise, prediction="v")
    for_v, for_noise = settings(scale_v_pred_loss=True), settings(v_pred_like_loss=0.5)
    assert "predicts epsilon" in next(objective.faults(for_v, noise))
    assert "predicts v" in next(objective.faults(for_noise, velocity))
    assert list(objective.faults(for_v, velocity)) == list(objective.faults(for_noise, noise)) == []
    with pytest.raises(Problems, match="scale_v_pred_loss is for v-prediction models"):
        check.check(for_v, host)


def test_what_does_nothing_is_told(host: StandaloneHost, settings: Settings) -> None:
    config = settings(huber_c=0.2, keep_base=True, min_snr_gamma=5, debiased_estimation=True, noise_offset=0.5)
    told = "\n".join(check.check(config, host).warnings)
    for text in ("huber_c = 0.2 does nothing with loss_type = l2", "there are none: give a regularisation folder",
                 "Choose one of them", "noise_offset = 0.5 is far above"):
        assert text in told
    assert list(objective.warnings(TrainConfig(), Findings())) == []


def test_what_is_held_out_is_counted(host: StandaloneHost, settings: Settings, pictures: Path) -> None:
    found = forecast.forecast(settings(validation_split=0.34, epochs=3), host)
    assert (found.held_out, found.batches, found.steps, len(found.items)) == (1, 2, 6, 3)
    train(settings(validation_split=0.34, epochs=1), host)
    facts = file.load(host.paths.loras / "zko.safetensors").metadata
    assert (facts["ss_num_validation_images"], facts["ss_num_train_images"]) == ("1", "2")
    assert facts["ss_validation_split"] == "0.34"
