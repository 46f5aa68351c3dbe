"""LECO and iLECO: the sum that is learned, the way from noise, and whole runs without pictures."""
from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.errors import Problems, UserError
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import loaded
from lib_trainer.training import check, config_reading, forecast
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.loss import denoising
from lib_trainer.training.methods import registry
from lib_trainer.training.settings import method as settings_of_method
from tests import tiny_families
from tests.told_sizes import told_sizes
from tests.training.runs import facts, of, same_tensors, stop_after, tensors, train

ALPHAS = torch.linspace(0.9991, 0.0047, 1000)


def config(**changes: Any) -> TrainConfig:
    values = {"name": "zko", "method": "leco", "concepts": "open eyes -> closed eyes", "steps": 3, "batch_size": 2,
              "denoising_steps": 3, "rank": 2, "alpha": 2.0, "learning_rate": "1e-2", "train_text_encoder": False}
    return config_reading.from_dict({**values, **changes})


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_a_model_that_knows_the_picture_leads_to_it(prediction: str) -> None:
    """Whoever tells the true noise of every latent comes out at x0 noised with that very noise."""
    clean, noise = torch.randn(2, 1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    start = ALPHAS[999].sqrt() * clean + (1 - ALPHAS[999]).sqrt() * noise

    def say(latents: torch.Tensor, now: int) -> torch.Tensor:
        signal, sigma = ALPHAS[now].sqrt(), (1 - ALPHAS[now]).sqrt()
        true = (latents - signal * clean) / sigma
        return true if prediction == "epsilon" else signal * true - sigma * clean

    found = denoising.denoised(start, denoising.path(250, 8), ALPHAS, prediction, say)
    # Float32 through some square roots.
    assert torch.allclose(found, ALPHAS[250].sqrt() * clean + (1 - ALPHAS[250]).sqrt() * noise, atol=1e-4)


@pytest.mark.parametrize(("end", "steps"), list(itertools.product((0, 1, 500, 998, 999), (1, 7, 50))))
def test_a_way_begins_at_noise_and_ends_where_it_should(end: int, steps: int) -> None:
    found = denoising.path(end, steps)
    assert found[-1] == end and found == sorted(set(found), reverse=True)
    assert found[0] == 999
    assert max((a - b for a, b in itertools.pairwise(found)), default=0) <= 1000 / steps + 1


def test_no_steps_take_the_noise_as_it_is() -> None:
    assert denoising.path(300, 0) == [300]


@pytest.mark.parametrize("method", ["leco", "ileco"])
def test_a_run_without_pictures_learns(host: StandaloneHost, method: str) -> None:
    events = train(config(method=method), host)
    started = of(ev.Started, events)[0]
    assert (started.images, started.prompts, started.total_steps) == (0, 1, 3)
    assert any(bool(value.any()) for name, value in tensors(host).items() if name.endswith("lora_up.weight"))
    assert not [event for event in of(ev.Cached, events) if event.what != "captions"]
    told = facts(host)
    assert told["ss_dataset_dirs"] == "{}" and told["ss_tag_frequency"] == "{}" and told["ss_num_train_images"] == "0"
    assert told["ss_training_method"] == method
    assert json.loads(told["ss_training_prompts"]) == ["open eyes -> closed eyes"]
    assert "modelspec.trigger_phrase" not in told
    losses = json.loads((Path(started.folder) / "losses.json").read_text(encoding="utf8"))
    assert losses["pictures"][0]["file"] == "open eyes -> closed eyes" and losses["pictures"][0]["is_prompt"]


def test_nothing_is_learned_from_what_is_said_already(host: StandaloneHost) -> None:
    """At guidance 1 from a prompt to the same words the goal is what the model says: a loss of 0."""
    made = config(concepts="hat --neutral hat --unconditional hat --positive hat, --action enhance")
    assert all(event.loss < 1e-3 for event in of(ev.Stepped, train(made, host)))


def test_the_goal_is_the_sum_of_what_the_base_says(host: StandaloneHost) -> None:
    """Erasing and enhancing are the same way in opposite directions: their first gradients are opposite, too."""
    ups = []
    for action in ("erase", "enhance"):
        # neutral = target: without a change the loss would be 0, so the gradient is that of the change alone.
        made = config(concepts=f"hat --neutral hat --action {action}", steps=1, name=action, optimizer="SGD",
                      optimizer_args="", learning_rate="1", max_grad_norm=0)
        train(made, host)
        ups.append({name: value.float() for name, value in tensors(host, action).items() if "lora_up" in name})
    assert any(bool(value.any()) for value in ups[0].values())
    for name, value in ups[0].items():
        assert torch.allclose(value, -ups[1][name], rtol=1e-2, atol=1e-6)  # files are fp16


@pytest.mark.parametrize("method", ["leco", "ileco"])
def test_the_effect_is_monotonic_in_strength(host: StandaloneHost, method: str) -> None:
    """What the LoRA adds goes along the way from one prompt to the other: backwards at -1, further at each strength."""
    train(config(method=method, concepts="red <-> blue --around 1girl", steps=6, denoising_steps=2,
                 denoising_guidance=1.0, learning_rate="4e-3"), host)
    noisy, timesteps = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500] * 4)
    with host.borrow_model() as lease, lease.turn() as model, torch.no_grad():
        lora, _ = loaded.from_state(model.targets(), tensors(host))

        def said(prompt: str, strength: float = 0.0) -> torch.Tensor:
            with lora.attached(model.targets(), dict.fromkeys(lora.layers, strength)):
                return model.predict(noisy, timesteps, model.encode_captions([prompt] * 4))

        way, before = said("blue") - said("red"), said("1girl")
        gone = [float(((said("1girl", strength) - before) * way).sum() / way.square().sum())
                for strength in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    assert gone == sorted(gone) and gone[2] == 0.0
    assert gone[0] < -0.05 and gone[4] > 0.05


def test_a_resumed_run_is_bit_for_bit_the_same(checkpoint: Path, tmp_path: Path) -> None:
    """With the text encoder learning as well: nothing is cached, the base's states are made anew at every step."""
    hosts = [StandaloneHost(checkpoint, HostPaths(*(tmp_path / home / name for name in
                                                    ("loras", "outputs", "settings", "cache"))))
             for home in ("whole", "parts")]
    made = config(steps=4, concepts="hat\nball -> star", train_text_encoder=True, denoising_steps=2)
    train(made, hosts[0])
    controls = Controls()
    train(replace(made, state_every_steps=1), hosts[1], stop_after(2, controls), controls)
    train(replace(made, state_every_steps=1, resume="auto"), hosts[1])
    assert same_tensors(tensors(hosts[0]), tensors(hosts[1]))


def test_a_file_of_prompts_that_was_edited_is_told(host: StandaloneHost, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("ball -> star", encoding="utf8")
    made = config(concepts="", concepts_file=str(path), method="ileco", state_every_steps=1)
    controls = Controls()
    train(made, host, stop_after(1, controls), controls)
    path.write_text("ball -> moon", encoding="utf8")
    with pytest.raises(Problems, match="1 of the pictures is changed"):
        train(replace(made, resume="auto"), host)


@contextmanager
def sdxl(folder: Path) -> Iterator[StandaloneHost]:
    path = tiny_families.write(folder, "sdxl_v")
    yield StandaloneHost(path, HostPaths(*(folder / name for name in ("loras", "outputs", "settings", "cache"))))


def test_sdxl_is_told_the_size_of_the_run(tmp_path: Path) -> None:
    with sdxl(tmp_path) as host, told_sizes(host) as sizes:
        train(config(concepts="hat --size 64,128", steps=2, gradient_checkpointing=True), host)
        assert {tuple(row) for row in sizes} == {(128.0, 64.0, 0.0, 0.0, 128.0, 64.0)}
        assert any(bool(value.any()) for name, value in tensors(host).items() if name.endswith("lora_up.weight"))


def problems(host: StandaloneHost, **changes: Any) -> str:
    values = {"name": "zko", "method": "leco", "concepts": "hat", "steps": 3, "train_text_encoder": False}
    with pytest.raises(Problems) as told:
        check.read({**values, **changes}, host)
    return str(told.value)


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"concepts": ""}, "Concepts are empty"), ({"concepts": "hat -> hat"}, "nothing to learn"),
    ({"steps": 0}, "set 'Steps'"), ({"save_every_epochs": 1}, "save_every_steps"),
    ({"validation_split": 0.5}, "held out"), ({"concepts": "a --size 72"}, "multiple of 64"),
    ({"concepts": "a <-> b", "train_text_encoder": True}, "switch 'Train text encoder' off"),
    ({"concepts": "a --x 1"}, "no option"), ({"concepts_file": "/nowhere.yaml"}, "cannot be read"),
]


def test_what_cannot_be_trained_is_told(host: StandaloneHost) -> None:
    for changes, said in FAULTS:
        assert said in problems(host, **changes)


def test_settings_of_pictures_are_told_to_do_nothing(host: StandaloneHost) -> None:
    found = check.check(config(images="somewhere", flip=True, noise_offset=0.1), host)
    told = next(sentence for sentence in found.warnings if sentence.startswith("With method = leco"))
    assert all(name in told for name in ("images", "flip", "noise_offset"))
    found = check.check(config(method="ileco", denoising_steps=7), host)
    assert any("denoising_steps" in sentence for sentence in found.warnings)


def test_the_forecast_says_what_is_learned(host: StandaloneHost) -> None:
    found = forecast.forecast(config(concept_contexts="1girl"), host)
    assert [one.target for one in found.concepts] == ["open eyes", "1girl, open eyes"]
    assert (found.steps, found.items, found.problems) == (3, [], [])
    assert json.dumps(found.to_json())


def test_prompts_beyond_the_limit_are_told(host: StandaloneHost) -> None:
    long = "very " * 80
    warned = of(ev.Warned, train(config(concepts=f"{long}big -> small", method="ileco", steps=1), host))
    assert [event for event in warned if "75 tokens or more" in event.message]
    with pytest.raises(UserError, match="the same as far as they are read"):
        train(config(concepts=f"{long}big -> {long}small", method="ileco", steps=1, name="other"), host)


def test_every_method_says_what_it_needs() -> None:
    assert set(settings_of_method.METHODS) == set(registry.METHODS) == set(settings_of_method.NEEDS)
    assert set(settings_of_method.PARTS) == set(settings_of_method.METHODS)
