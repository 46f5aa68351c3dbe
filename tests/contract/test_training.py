"""Whole trainings on a host: whatever goes wrong and whoever draws in between, host and result stay the same."""
from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.host import TRAINING_NAME
from lib_trainer.host_model import HostModel
from lib_trainer.lora import file
from lib_trainer.training import events as ev
from lib_trainer.training import recipe
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from tests.conftest import Settings
from tests.contract import faults, snapshots
from tests.contract.cases import HostCase
from tests.contract.faults import Accident, Injector, WatchedHost

POINTS = 20
"""Accidents per host."""

LIVE = f"a cat<lora:{TRAINING_NAME}:0.8:OUTD>"


def short(settings: Settings, name: str, **changes: Any) -> TrainConfig:
    """A run that goes through every phase: 2 updates of 3 micro-batches, a save and a preview after each."""
    values = {"name": name, "steps": 2, "resolution": "64", "gradient_accumulation": 2, "save_precision": "float",
              "save_every_steps": 1, "preview_every_steps": 1, "preview_prompts": "zko", "preview_steps": 2,
              "preview_width": 64, "preview_height": 64}
    return settings(**{**values, **changes})


def run(
    config: TrainConfig, host: Any, controls: Controls | None = None, watch: Callable[[ev.Event], None] | None = None
) -> list[ev.Event]:
    seen = []
    for event in recipe.run(config, host, controls or Controls()):
        seen.append(event)
        if watch:
            watch(event)
    return seen


def model_hash(case: HostCase, name: str) -> str:
    """What tells the learned tensors from any others."""
    return file.load(case.host.paths.loras / f"{name}.safetensors").metadata["sshs_model_hash"]


@dataclass(frozen=True)
class Undisturbed:
    """A run to the end, alone: the points it passed and what it learned."""

    points: list[str]
    model_hash: str


Alone = Callable[[bool], Undisturbed]


@pytest.fixture(scope="package")
def known(case: HostCase) -> dict[bool, Undisturbed]:
    """The undisturbed runs of a host; the first test that asks for one has it made."""
    return {}


@pytest.fixture
def alone(
    case: HostCase, known: dict[bool, Undisturbed], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Alone:
    """The undisturbed run with or without the text encoder."""

    def find(text: bool) -> Undisturbed:
        if text not in known:
            counting, name = Injector(), f"alone-{text}"
            with monkeypatch.context() as patched:
                counting.watch_trainer(patched)
                run(short(settings, name, train_text_encoder=text), WatchedHost(case.host, counting))
            known[text] = Undisturbed(counting.points, model_hash(case, name))
        return known[text]

    return find


@pytest.mark.parametrize("seed", range(POINTS))
def test_an_accident_anywhere_leaves_the_host_as_it_was(
    case: HostCase, settings: Settings, monkeypatch: pytest.MonkeyPatch, alone: Alone, seed: int
) -> None:
    """Every phase has its share of the accidents: first a kind of point is drawn, then one of these points."""
    draw = random.Random(seed)
    text = draw.random() < 0.4
    found = alone(text).points
    phase = draw.choice(sorted(set(found)))
    at = draw.choice([index for index, name in enumerate(found) if name == phase])
    controls = Controls()
    accident = draw.choice([
        faults.raise_accident, faults.run_out_of_memory, controls.stop, lambda: controls.stop(save=False),
        case.interrupt,
    ])
    picture, before = case.settled(), snapshots.networks(case.networks())
    generators = snapshots.random_generators()
    injector = Injector(at, accident)
    config = short(settings, f"accident-{seed}", train_text_encoder=text)
    with monkeypatch.context() as patched:
        injector.watch_trainer(patched)
        try:
            events = run(config, WatchedHost(case.host, injector), controls)
        except (Accident, UserError, torch.cuda.OutOfMemoryError) as error:
            assert accident in (faults.raise_accident, faults.run_out_of_memory)
            assert isinstance(error, Accident) or "memory" in str(error)
        else:
            assert isinstance(events[-1], ev.Finished)
            assert accident not in (faults.raise_accident, faults.run_out_of_memory)
    assert phase in injector.points
    assert snapshots.random_generators() == generators
    assert snapshots.networks(case.networks()) == before
    assert case.draw() == picture and case.draw(LIVE) == picture
    assert snapshots.networks(case.networks()) == before


def test_every_phase_has_points(alone: Alone) -> None:
    assert set(alone(False).points) == {
        "scan", "pictures", "load pixels", "encode images", "encode captions", "forward", "inside forward", "backward",
        "update", "save", "preview", "inside preview"}


@pytest.mark.parametrize("text", [False, True])
def test_drawing_between_every_two_turns_changes_nothing(
    case: HostCase, settings: Settings, alone: Alone, text: bool
) -> None:
    """Between the turns of caching and of accumulation too, on clean weights and with the adapters in training."""
    plain, wanted, turns = case.draw(), alone(text).model_hash, 0

    def draw(model: HostModel) -> None:
        nonlocal turns
        turns += 1
        assert case.draw() == plain
        if turns % 2:
            case.draw(LIVE)

    watched = WatchedHost(case.host, Injector(), draw)
    run(short(settings, f"disturbed-{text}", train_text_encoder=text), watched)
    assert turns >= 9  # the adapters, 3 pictures (and their captions), 3 micro-batches, 2 previews
    assert model_hash(case, f"disturbed-{text}") == wanted


@pytest.mark.parametrize("turn", [2, 5, 6])
def test_another_checkpoint_in_between_pauses_and_changes_nothing(
    case: HostCase, settings: Settings, alone: Alone, turn: int
) -> None:
    """While latents are cached, between two micro-batches, before a preview: Paused, and afterwards the same result."""
    wanted, turns = alone(True).model_hash, 0

    def switch(model: HostModel) -> None:
        nonlocal turns
        turns += 1
        if turns == turn:
            case.load_checkpoint(first=False)

    def mend(event: ev.Event) -> None:
        if isinstance(event, ev.Paused):
            assert case.checkpoint_file(first=True).stem in event.reason
            case.load_checkpoint(first=True)

    try:
        events = run(short(settings, f"switched-{turn}"), WatchedHost(case.host, Injector(), switch), watch=mend)
    finally:
        case.load_checkpoint(first=True)
    assert [type(event).__name__ for event in events if isinstance(event, (ev.Paused, ev.Continued))] == [
        "Paused", "Continued"]
    assert model_hash(case, f"switched-{turn}") == wanted


def test_training_shares_the_storages_of_the_loaded_model(case: HostCase, settings: Settings) -> None:
    """Every parameter is where it was before, during and after; what is trained through is nothing else."""
    def addresses() -> dict[str, int]:
        return {f"{number} {name}": tensor.data_ptr() for number, network in enumerate(case.networks())
                for name, tensor in (*network.named_parameters(), *network.named_buffers())}

    case.settled()
    before, seen = addresses(), 0

    class Looking(Injector):
        def point(self, name: str) -> None:
            nonlocal seen
            super().point(name)
            if name in ("forward", "backward", "encode images", "preview"):
                assert addresses() == before
                seen += 1

    def look(model: HostModel) -> None:
        assert addresses() == before

    with case.host.borrow_model() as lease, lease.turn() as model:
        weights = [target.module.weight for target in model.targets()]
        assert all(isinstance(weight, torch.Tensor) and weight.data_ptr() in before.values() for weight in weights)
    run(short(settings, "shared"), WatchedHost(case.host, Looking(), look))
    assert seen == 11 and addresses() == before
