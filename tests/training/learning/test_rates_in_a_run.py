"""Rates as the events of a run tell them: what really acts, update by update."""
from __future__ import annotations

from typing import Any

import pytest

from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.training import events as ev
from lib_trainer.training import recipe
from lib_trainer.training.controls import Controls
from tests.conftest import Settings


def told(host: StandaloneHost, settings: Settings, **changes: Any) -> tuple[list[dict[str, float]], list[str]]:
    events = list(recipe.run(settings(**changes), host, Controls()))
    assert isinstance(events[-1], ev.Finished) and not events[-1].stopped
    return ([event.lrs for event in events if isinstance(event, ev.Stepped)],
            [event.message for event in events if isinstance(event, ev.Warned)])


def test_a_saw_tooth_and_a_text_encoder_that_stops(host: StandaloneHost, settings: Settings) -> None:
    rates, _ = told(host, settings, learning_rate="1e-4:1, 1e-5:3, 1e-4:4, 1e-6", text_encoder_lr="5e-5",
                    stop_text_encoder="50%", blocks="IN04, M00")
    assert [told["unet"] for told in rates] == [1e-4, 1e-5, 1e-5, 1e-4, 1e-6, 1e-6]
    assert [told["text_encoder"] for told in rates] == [5e-5, 5e-5, 5e-5, 0.0, 0.0, 0.0]


def test_an_estimated_rate_is_told_as_it_acts(host: StandaloneHost, settings: Settings) -> None:
    rates, warnings = told(host, settings, optimizer="DAdaptAdam", learning_rate="1", text_encoder_lr="0.5", epochs=4,
                           optimizer_args="betas=0.9,0.999 weight_decay=0 d0=1e-06")
    assert rates[0]["unet"] == pytest.approx(1e-6) and rates[-1]["unet"] > 2e-6  # d has grown
    assert all(told["text_encoder"] == pytest.approx(told["unet"] / 2) for told in rates)
    assert any("in that ratio" in warning for warning in warnings)


def test_lora_plus_warm_up_and_restarts(host: StandaloneHost, settings: Settings) -> None:
    rates, _ = told(host, settings, learning_rate="1e-3", lora_plus=16, scheduler="cosine_with_restarts", cycles=2,
                    warmup="2", train_text_encoder=False)
    assert [told["unet"] for told in rates] == pytest.approx([0, 5e-4, 1e-3, 5e-4, 1e-3, 5e-4])
    assert all(told["unet+"] == pytest.approx(16 * told["unet"]) for told in rates)
