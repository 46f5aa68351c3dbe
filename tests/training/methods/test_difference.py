"""The difference of two copiers, end to end on a tiny checkpoint: parts, files, scores, ends, and what is refused."""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, config_reading
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.methods import difference
from lib_trainer.training.methods.copy_judge import CopyJudge
from lib_trainer.training.methods.parts import Trains
from lib_trainer.training.resume import search
from lib_trainer.training.strengths.events import StrengthsDrawn
from tests.training.runs import of, same_tensors, tensors, train

Make = Callable[..., TrainConfig]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs: a square that is dark before and light after, on two backgrounds, under one caption each."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name, ground in (("a", (200, 60, 60)), ("b", (60, 60, 200))):
        for side, inside in (("", (30, 30, 30)), ("_after", (230, 230, 230))):
            picture = Image.new("RGB", (64, 64), ground)
            picture.paste(inside, (16, 16, 48, 48))
            picture.save(folder / f"{name}{side}.png")
        (folder / f"{name}.txt").write_text(f"square (on) {name}", encoding="utf8")
    return folder


@pytest.fixture
def make(pairs: Path) -> Make:
    def made(**changes: Any) -> TrainConfig:
        values = {"name": "light", "method": "difference", "images": str(pairs), "repeats": 1, "batch_size": 2,
                  "epochs": 1, "rank": 2, "alpha": 2.0, "learning_rate": "1e-3", "train_text_encoder": False,
                  "blocks": "OUT09-OUT11", "save_precision": "float", "preview_steps": 1, "preview_cfg": 1.0,
                  "copier_seeds": "1"}
        return config_reading.from_dict({**values, **changes})

    return made


def loras(host: StandaloneHost) -> list[str]:
    return sorted(path.name for path in host.paths.loras.iterdir())


def change(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a LoRA of linear layers adds to the weights, float64."""
    layers = sorted({name.partition(".")[0] for name in found})
    return {layer: (found[f"{layer}.lora_up.weight"].double().flatten(1)
                    @ found[f"{layer}.lora_down.weight"].double().flatten(1))
            * float(found[f"{layer}.alpha"]) / found[f"{layer}.lora_down.weight"].shape[0] for layer in layers}


def test_the_difference_is_what_the_second_learned_minus_what_the_first_did(host: StandaloneHost, make: Make) -> None:
    config = make(keep_copiers=True, comment="mine", epochs=2, copier_seeds="1, 2", preview_prompts="my own")
    events = train(config, host)
    assert [(one.place, one.of, one.title) for one in of(ev.PhaseStarted, events)] == [
        (1, 3, "Copier of the pictures before"), (2, 3, "Copier of the pictures after"), (3, 3, "After minus before")]
    assert loras(host) == ["light-after.safetensors", "light-before.safetensors", "light.json", "light.safetensors"]
    result, after, before = (change(tensors(host, name)) for name in ("light", "light-after", "light-before"))
    for layer, delta in result.items():
        wanted = after[layer] - before[layer]
        # Factors of float32: 24 bits each, and a rank of 4.
        assert torch.linalg.vector_norm(delta - wanted) <= 1e-6 * torch.linalg.vector_norm(wanted)
    assert tensors(host, "light")[f"{next(iter(result))}.lora_down.weight"].shape[0] == 4
    facts = file.load(host.paths.loras / "light.safetensors").metadata
    assert facts["ss_sd_model_name"] == "tiny.safetensors" and len(facts["ss_new_sd_model_hash"]) == 64
    assert facts["ss_network_dim"] == "4" and facts["ss_output_name"] == "light"
    assert facts["ss_training_comment"] == "mine; difference of two copiers of 2 pairs"
    assert not any("square" in text or "light-after" in text for text in facts.values())  # the sources are not told
    finished = events[-1]
    assert isinstance(finished, ev.Finished)
    assert (finished.tag, finished.trigger, finished.step) == ("<lora:light:1>", "", 4)
    scored(events)
    assert "Strength -1 ... 1" in json.loads((host.paths.loras / "light.json").read_text("utf8"))["description"]


def alike(config: TrainConfig, host: StandaloneHost) -> None:
    """Both copiers are the same, so nothing is left to be a difference."""
    with pytest.raises(UserError, match="take each other away"):
        train(config, host)
    assert same_tensors(tensors(host, "light-before"), tensors(host, "light-after"))


def test_copiers_learn_alike_but_for_their_pictures(host: StandaloneHost, make: Make, pairs: Path) -> None:
    """Same start, noise and timesteps: of pictures that do not differ nothing is left."""
    for name in "ab":
        (pairs / f"{name}_after.png").write_bytes((pairs / f"{name}.png").read_bytes())
    alike(make(keep_copiers=True), host)


def test_a_second_picture_of_another_size_has_the_bucket_of_the_first(
    host: StandaloneHost, make: Make, pairs: Path
) -> None:
    """Of one colour, so that every size of it is the same picture."""
    for name in "ab":
        Image.new("RGB", (128, 128), (200, 60, 60)).save(pairs / f"{name}.png")
        Image.new("RGB", (64, 64), (200, 60, 60)).save(pairs / f"{name}_after.png")
    alike(make(keep_copiers=True, resolution="128", bucket_no_upscale=True), host)


def test_the_difference_is_drawn_as_the_last_part(host: StandaloneHost, make: Make) -> None:
    """A stop in it leaves the difference, and going on draws what is missing."""
    drawn = {"slider_strengths": "-1, 1", "slider_seeds": "3", "preview_steps": 1}
    controls = Controls()
    events = train(make(**drawn), host, lambda event: controls.stop() if isinstance(event, StrengthsDrawn) else None,
                   controls)
    assert [one.title for one in of(ev.PhaseStarted, events)][2:] == ["After minus before", "Pictures of the result"]
    [row] = of(StrengthsDrawn, events)
    assert (row.prompt, row.seed, row.strengths) == (r"square \(on\) a", 3, [-1.0, 1.0])
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and finished.stopped and finished.tag == "<lora:light:1>"
    assert any("only pictures of it are missing" in one.message for one in of(ev.Warned, events))
    assert loras(host) == ["light.json", "light.safetensors"]
    again = train(make(resume="auto", **drawn), host)
    assert [one.place for one in of(ev.PhaseStarted, again)] == [4] and not of(ev.Stepped, again)
    assert [row.prompt for row in of(StrengthsDrawn, again)] == [r"square \(on\) a", r"square \(on\) b"]
    assert isinstance(again[-1], ev.Finished) and again[-1].file and not again[-1].stopped
    assert search.interrupted(host.paths) is None


def scored(events: list[ev.Event]) -> None:
    """Samples were drawn and scored in both copiers."""
    drawn = of(ev.Previewed, events)
    assert [one.step for one in drawn] == [0, 1, 2, 0, 1, 2]
    assert drawn[0].prompts == [r"square \(on\) a"] * 2 + [r"square \(on\) b"] * 2 + ["my own"]
    assert drawn[0].seeds == [1, 2, 1, 2, 1]
    scores = of(ev.CopyScored, events)
    assert [one.step for one in scores] == [1, 2, 1, 2]
    assert [sorted(one.scores) for one in scores] == [["a.png", "b.png"]] * 2 + [["a_after.png", "b_after.png"]] * 2
    assert all(one.score == min(one.scores.values()) < 1.0 for one in scores)


def test_svd_tells_what_is_lost(host: StandaloneHost, make: Make) -> None:
    events = train(make(copier_reduction="svd", copier_svd_rank=1), host)
    (done,) = of(ev.WorkDone, events)
    assert loras(host) == ["light.json", "light.safetensors"]  # copiers are removed
    assert {event.name for event in of(ev.Removed, events)} == {"light-before", "light-after"}
    assert done.file.endswith("light.safetensors") and done.rows
    assert {tensor.shape[0] for name, tensor in tensors(host, "light").items() if "lora_down" in name} == {1}


def test_on_top_the_second_learns_while_the_first_acts(host: StandaloneHost, make: Make) -> None:
    events = train(make(copier_way="on top", keep_copiers=True), host)
    assert [one.of for one in of(ev.PhaseStarted, events)] == [2, 2]
    assert loras(host) == ["light-before.safetensors", "light.json", "light.png", "light.safetensors"]
    assert isinstance(events[-1], ev.Finished) and events[-1].name == "light"
    config = config_reading.load(host.paths.outputs / search.JOBS / "light" / "after" / "config.json")
    assert config.base_loras == f'"{host.paths.loras / "light-before.safetensors"}":1'


def test_on_top_every_picture_is_held_against_its_own_partner(host: StandaloneHost, make: Make, pairs: Path) -> None:
    """Whatever captions the sides have: many before are one after, in another order, more than are sampled."""
    for number in range(10):
        for side, place in (("", None), ("_after", (number * 6, 0, number * 6 + 6, 6))):
            picture = Image.new("RGB", (64, 64), (90, 90, 90))
            if place:
                picture.paste((255, 255, 255), place)
            picture.save(pairs / f"{number}{side}.png")
        (pairs / f"{number}.txt").write_text(f"plain {9 - number}", encoding="utf8")
        (pairs / f"{number}_after.txt").write_text("spot", encoding="utf8")
    config = make(copier_way="on top")
    _, on_top = difference.parts_of(config, host, check.check(config, host), host.paths.outputs / "job")
    assert isinstance(on_top, Trains) and on_top.judge
    judge = on_top.judge()
    assert isinstance(judge, CopyJudge)
    for number, weights in enumerate(judge.aims["spot"].weights):
        assert weights is not None
        assert weights[0:6, number * 6 : number * 6 + 6].sum() == pytest.approx(weights.sum())


def test_a_copier_that_was_replaced_is_told(host: StandaloneHost, make: Make) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.place == 3:
            controls.stop()

    train(make(), host, stop, controls)
    copiers = host.paths.outputs / search.JOBS / "light" / "copiers"
    after, before = (copiers / f"light-{side}.safetensors" for side in ("after", "before"))
    mine = before.read_bytes()
    before.write_bytes(after.read_bytes())
    with pytest.raises(UserError, match=r"light-before.* is another one now: put it back"):
        train(make(resume="auto"), host)
    before.unlink()
    with pytest.raises(UserError, match=r"light-before.* is gone: put it back"):
        train(make(resume="auto"), host)
    before.write_bytes(mine)
    assert isinstance(train(make(resume="auto"), host)[-1], ev.Finished)
    with pytest.raises(Problems, match="has come to its end"):
        train(make(resume="auto"), host)
    assert loras(host) == ["light.json", "light.safetensors"]


def test_all_faults_come_before_the_first_step(host: StandaloneHost, make: Make, pairs: Path) -> None:
    (host.paths.loras / "light-after.safetensors").write_bytes(b"a stranger's")
    with pytest.raises(Problems) as caught:
        train(replace(make(), keep_copiers=True, copier_seeds="1, x", validation_split=0.5), host)
    said = "\n".join(caught.value.problems)
    assert "copier_seeds = '1, x'" in said and "'light-after' is taken" in said and "validation_split" in said
    assert not (host.paths.outputs / search.JOBS).exists()
