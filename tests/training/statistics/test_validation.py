"""Validation in whole runs: what is measured, that it disturbs nothing, and early stopping."""
from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib_trainer.bootstrap import DEMO_CHECKPOINT
from lib_trainer.errors import Problems, UserError
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import config_reading
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.statistics import held_out, losses_file
from tests.conftest import Settings
from tests.training.test_recipe import loras, model_hash, of, tensors, train

HELD = {"validation_split": 0.34, "epochs": 3}
"""One of the three pictures."""
ONCE = {"validation_split": 0.34, "epochs": 1}


def curve(events: list[ev.Event]) -> list[tuple[int, float]]:
    return [(event.step, event.loss) for event in of(ev.Validated, events)]


def test_the_timesteps_are_the_fields() -> None:
    assert held_out.timesteps(TrainConfig()) == [200, 400, 600, 800]
    assert held_out.timesteps(TrainConfig(min_timestep=500, max_timestep=502)) == [500, 501]


def test_a_run_is_measured_before_while_and_after(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(**HELD, save_every_epochs=0), host)
    started = of(ev.Started, events)[0]
    assert (started.images, started.total_steps) == (2, 6)
    measured = of(ev.Validated, events)
    assert [(one.step, one.epoch, one.pictures) for one in measured] == [(0, 0, 1), (2, 1, 1), (4, 2, 1), (6, 3, 1)]
    for one in measured:
        assert list(one.by_timestep) == ["200", "400", "600", "800"]
        assert one.loss == pytest.approx(sum(one.by_timestep.values()) / 4)
    lowest = min(measured[1:], key=lambda one: one.loss)
    assert (measured[-1].best_loss, measured[-1].best_step) == (lowest.loss, lowest.step)
    trained = losses_file.read(Path(started.folder))["pictures"]
    assert len(trained) == 2 and all(one["uses"] == 3 for one in trained)


def test_a_measurement_is_a_pure_function_of_the_weights(host: StandaloneHost, settings: Settings) -> None:
    """Neither dropout nor shuffling, noise options, loss options nor how often it is measured change it."""
    plain = train(settings(name="a", **ONCE), host)
    assert curve(plain) == curve(train(settings(name="b", **ONCE), host))
    wild = settings(
        name="c", **ONCE, flip=True, shuffle_caption=True, caption_dropout=0.5, noise_offset=0.1, loss_type="huber",
        min_snr_gamma=5, multires_iterations=4, ip_noise_gamma=0.1, network_dropout=0.5)
    assert curve(train(wild, host))[0] == curve(plain)[0]
    assert curve(train(settings(name="d", **ONCE, validation_seed=1), host))[0] != curve(plain)[0]
    assert curve(train(settings(name="e", **ONCE, batch_size=2, rank=4), host))[0] == curve(plain)[0]


def test_measuring_changes_nothing(host: StandaloneHost, settings: Settings) -> None:
    often = train(settings(name="often", **HELD, validate_every_steps=1), host)
    assert [step for step, _ in curve(often)] == [0, 1, 2, 3, 4, 5, 6]
    rarely = train(settings(name="rarely", **HELD, validate_every_epochs=5), host)
    assert [step for step, _ in curve(rarely)] == [0, 6]
    assert model_hash(host, "often") == model_hash(host, "rarely")


def test_uncached_and_cached_agree(host: StandaloneHost, settings: Settings) -> None:
    cached = curve(train(settings(name="a", **ONCE), host))
    fresh = curve(train(settings(name="b", **ONCE, cache_latents=False, cache_captions=False), host))
    assert fresh == [(step, pytest.approx(loss, rel=1e-4)) for step, loss in cached]  # other batches, other kernels


def test_early_stopping_keeps_the_best_state(host: StandaloneHost, settings: Settings) -> None:
    """At a rate that is far too high the loss falls, and then it only gets worse."""
    config = settings(validation_split=0.34, epochs=50, validate_every_steps=1, early_stopping=3, learning_rate="5",
                      optimizer="SGDNesterov", max_grad_norm=0, min_timestep=300)
    events = train(config, host)
    ended = of(ev.EndedEarly, events)[0]
    measured = of(ev.Validated, events)
    best = min(measured[1:], key=lambda one: one.loss)
    assert ended.best_step == best.step and ended.step == best.step + 3 < 100
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and not finished.stopped and finished.step == ended.step
    assert loras(host) == ["zko-best.safetensors", "zko.safetensors"]
    for text in ("zko-best holds the best state", "zko the one of the last step", "3 times in a row"):
        assert text in ended.message
    kept = file.load(host.paths.loras / "zko-best.safetensors")
    assert kept.metadata["ss_steps"] == str(best.step)
    # The same run that is ended there by itself writes the same tensors.
    train(settings(**{**config.to_dict(), "name": "same", "steps": best.step, "early_stopping": 0}), host)
    assert all(torch.equal(kept.tensors[key], tensor) for key, tensor in tensors(host, "same").items())


def test_early_stopping_counts_in_a_row() -> None:
    held = held_out.HeldOut(TrainConfig(validation_split=0.1, early_stopping=2), [])
    judged = [held.judge(step, loss) for step, loss in enumerate([0.1, 5.0, 6.0, 4.0, 4.0, 3.0, float("nan")])]
    assert judged == [False, True, False, True, False, True, False]
    assert (held.best_step, held.misses, held.is_over) == (5, 1, False)
    again = held_out.HeldOut(TrainConfig(validation_split=0.1, early_stopping=2), [])
    again.load_state_dict(held.state_dict())
    again.judge(7, 3.5)
    assert again.is_over and (again.best_loss, again.best_step) == (3.0, 5)


def test_a_resumed_run_measures_and_judges_as_if_it_had_never_ended(host: StandaloneHost, settings: Settings) -> None:
    changes = {**HELD, "epochs": 2, "validate_every_steps": 1, "early_stopping": 50, "state_every_minutes": 15}
    whole = train(settings(name="whole", **changes), host)
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.Stepped) and event.step == 2:
            controls.stop()

    cut = settings(name="cut", **changes)
    first = train(cut, host, stop, controls)
    second = train(replace(cut, resume="auto"), host)
    assert of(ev.Validated, first) + of(ev.Validated, second) == of(ev.Validated, whole)
    losses = [losses_file.read(Path(of(ev.Started, events)[0].folder)) for events in (whole, second)]
    assert losses[0] == losses[1]
    assert model_hash(host, "cut-best") == model_hash(host, "whole-best")


def test_a_stop_does_not_wait_for_a_measurement(host: StandaloneHost, settings: Settings) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.Stepped) and event.step == 2:
            controls.stop()

    events = train(settings(**HELD, validate_every_steps=2), host, stop, controls)
    assert [step for step, _ in curve(events)] == [0]
    assert isinstance(events[-1], ev.Finished) and events[-1].stopped


def test_what_cannot_be_meant_is_refused(host: StandaloneHost, settings: Settings, pictures: Path) -> None:
    with pytest.raises(Problems, match="nothing is held out"):
        settings(early_stopping=3)
    with pytest.raises(UserError, match="leaves no picture to train on"):
        for path in list(pictures.glob("zko (1)*")) + list(pictures.glob("zko (2)*")):
            path.unlink()
        train(settings(validation_split=0.5), host)
    (host.paths.loras / "zko-best.safetensors").write_bytes(b"mine")
    with pytest.raises(Problems, match=r"zko-best\.safetensors"):
        train(settings(validation_split=0.5, early_stopping=1), host)


def test_a_wrong_tag_stands_out(tmp_path: Path) -> None:
    """The sample pictures of the demo checkpoint, which knows their tags; one of them gets those of another scene."""
    home, folder = tmp_path / "home", tmp_path / "pictures"
    host = StandaloneHost(
        DEMO_CHECKPOINT, HostPaths(home / "loras", home / "outputs", home / "settings", home / "cache"))
    folder.mkdir()
    shown = sorted((DEMO_CHECKPOINT.parent / "dataset" / "zunko" / "reg" / "1_1girl").glob("*.png"))[:8]
    for path in shown:
        shutil.copy(path, folder)
        shutil.copy(path.with_suffix(".txt"), folder)
    wrong = folder / f"{shown[3].stem}.txt"
    wrong.write_text("1girl, pink hair, long hair, closed eyes, smile, green shirt, outdoors", encoding="utf8")
    config = config_reading.from_dict({
        "name": "zko", "images": str(folder), "repeats": 1, "epochs": 6, "batch_size": 4, "rank": 2, "alpha": 1.0,
        "train_text_encoder": False, "learning_rate": "1e-4"})
    events = train(config, host)
    ranked = losses_file.ranked(losses_file.read(Path(of(ev.Started, events)[0].folder))["pictures"])
    assert Path(ranked[0]["file"]).stem == wrong.stem
    assert ranked[0]["loss"] > 1.3 * ranked[1]["loss"], json.dumps(ranked, indent=1)
