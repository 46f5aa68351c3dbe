"""The ways of training that learn no pictures as such, on a real host with few steps; the host stays as it was."""
from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.real import model_state, training
from tests.hosts.real.conftest import DEMO
from tests.hosts.real.model_state import PROMPT
from tests.hosts.real.pixels import close, differ, furthest, same
from tests.hosts.real.server import Server

PAIRS = {"before_suffix": "_open", "after_suffix": "_closed", "repeats": 2, "steps": 4, "epochs": 0}
CONCEPTS = {"images": "", "concepts": "blue background -> red background", "steps": 4, "epochs": 0,
            "denoising_steps": 4}
METHODS: dict[str, dict[str, Any]] = {
    "addift": {"method": "addift", **PAIRS, "min_timestep": 500},
    "addift with checkpointing": {"method": "addift", **PAIRS, "batch_size": 2, "gradient_checkpointing": True},
    "leco": {"method": "leco", **CONCEPTS},
    "leco slider": {"method": "leco", **CONCEPTS, "concepts": "sad <-> happy", "batch_size": 2},
    "ileco": {"method": "ileco", **CONCEPTS},
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs of the demo's dataset: open eyes and closed ones."""
    folder = tmp_path_factory.mktemp("pairs")
    for file in sorted((DEMO / "dataset" / "zunko" / "pairs").iterdir()):
        if file.name[:2] in ("01", "02", "03"):
            shutil.copy(file, folder / file.name)
    return folder


def trained(host: Server, pairs: Path, name: str, **settings: Any) -> training.Training:
    """Trains to a good end, which leaves the host as it was."""
    with model_state.left_alone(host):
        run = training.start(host, pairs, name, **{"learning_rate": "1e-2", "train_text_encoder": False, **settings})
        run.finished()
    print(name, run.events[-1]["seconds"], [event["loss"] for event in run.of("Stepped")],
          [event["message"] for event in run.of("Warned")])
    return run


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_and_draws(host: Server, pairs: Path, name: str) -> None:
    run = trained(host, pairs, name, **METHODS[name])
    assert run.events[-1]["step"] == 4
    plain = host.draw(PROMPT)
    drawn = [host.draw(f"{PROMPT}<lora:{name}:{strength}>") for strength in (-1, 0.5, 1)]
    assert all(differ(one, two) for one, two in itertools.combinations([plain, *drawn], 2))
    assert same(host.draw(PROMPT), plain)


@pytest.mark.parametrize("name", ["addift", "leco"])
def test_a_method_is_the_same_again_and_beside_drawing(host: Server, pairs: Path, name: str) -> None:
    settings = {**METHODS[name], "learning_rate": "1e-2", "train_text_encoder": False}
    undisturbed = training.tensors(training.start(host, pairs, f"{name} undisturbed", **settings).finished())
    plain = host.draw(PROMPT)
    run = training.start(host, pairs, f"{name} disturbed", **settings)
    drawn = []
    while run.read():
        drawn.append(host.draw(PROMPT, steps=4))
    assert training.tensors(run.finished()) == undisturbed
    assert drawn and all(same(picture, plain) for picture in drawn)


@pytest.mark.parametrize("settings", [
    {"epochs": 2}, {"epochs": 2, "copier_way": "on top"}, {"epochs": 1, "copier_reduction": "svd", "conv_rank": 4},
], ids=["subtract", "on top", "svd"])
def test_the_difference_of_two_copiers(host: Server, pairs: Path, settings: dict[str, Any]) -> None:
    name = " ".join(["difference", *(str(value) for value in settings.values())])
    run = trained(host, pairs, name, **{
        **PAIRS, "method": "difference", "steps": 0, "repeats": 1, "keep_copiers": True, "preview_steps": 2,
        "preview_width": 64, "preview_height": 64, **settings})
    print([event["title"] for event in run.of("PhaseStarted")], sorted(path.name for path in host.loras.glob("diff*")))
    plain, drawn = host.draw(PROMPT), host.draw(f"{PROMPT}<lora:{name}:1>")
    assert differ(drawn, plain)
    if len(settings) == 1:
        copiers = host.draw(f"{PROMPT}<lora:{name}-after:1><lora:{name}-before:-1>")
        print("furthest from both copiers", furthest(drawn, copiers), "from no LoRA", furthest(drawn, plain))
        assert close(drawn, copiers)
