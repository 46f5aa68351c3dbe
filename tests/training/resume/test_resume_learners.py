"""Whatever learns, a run that was stopped goes on to the same files bit for bit."""
from __future__ import annotations

from typing import Any

import pytest

from lib_trainer.errors import UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.training.controls import Controls
from tests.conftest import Settings
from tests.training.runs import same_tensors, stop_after, tensors, train

KINDS: dict[str, dict[str, Any]] = {
    "average": {"ema_decay": 0.9, "save_every_steps": 2},
    "schedule-free": {"optimizer": "AdamWScheduleFree", "optimizer_args": "warmup_steps=3", "save_every_steps": 2},
    "estimated rate": {"optimizer": "Prodigy", "learning_rate": "1", "text_encoder_lr": "0.5", "lora_plus": 4},
    "its own rate": {"optimizer": "Adafactor", "optimizer_args": "relative_step=True scale_parameter=True"},
    "schedule by class": {"scheduler": "CosineAnnealingWarmRestarts", "scheduler_args": "T_0=2 T_mult=2"},
    "end of the text encoder": {"stop_text_encoder": "4", "optimizer": "CAME"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_goes_on_bit_for_bit(host: StandaloneHost, settings: Settings, kind: str) -> None:
    values = {"learning_rate": "1e-3", "epochs": 2, "save_precision": "float", **KINDS[kind]}
    train(settings(name="whole", **values), host)
    controls = Controls()
    train(settings(**values), host, stop_after(3, controls), controls)
    train(settings(resume="auto", **values), host)
    assert same_tensors(tensors(host), tensors(host, "whole"))
    if "save_every_steps" in values:
        assert same_tensors(tensors(host, "zko-step00000004"), tensors(host, "whole-step00000004"))


def test_an_estimate_keeps_the_ratio_of_its_rates(host: StandaloneHost, settings: Settings) -> None:
    values = {"optimizer": "DAdaptAdam", "learning_rate": "1", "epochs": 2}
    controls = Controls()
    train(settings(**values), host, stop_after(2, controls), controls)
    with pytest.raises(UserError, match="Keep their ratio"):
        train(settings(resume="auto", text_encoder_lr="0.5", **values), host)
    train(settings(resume="auto", **{**values, "learning_rate": "0.5"}), host)
