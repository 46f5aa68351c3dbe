"""ReLoRA on a tiny checkpoint: rounds that are merged, what comes out, what is left after a stop, what is refused."""
from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lib_trainer.errors import Problems
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, config_reading
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.methods import rounds
from lib_trainer.training.resume import search
from lib_trainer.workbench import into_checkpoint
from lib_trainer.workbench.into_checkpoint import IntoCheckpointOrder
from lib_trainer.workbench.operation import finish
from lib_trainer.workbench.sources import Source
from tests.training.runs import of, same_tensors, tensors, train

SETTINGS = {
    "method": "relora", "rounds": 2, "round_rate": "0.5", "train_text_encoder": False, "blocks": "OUT09-OUT11",
    "repeats": 1, "epochs": 1, "rank": 2, "alpha": 1.0, "save_precision": "float", "flip": True, "unet_lr": "2e-2",
    "scheduler": "constant_with_warmup", "warmup": "1", "state_every_steps": 1, "state_every_minutes": 0,
}
"""Two rounds of an epoch of 3 steps on few layers."""


@dataclass(frozen=True)
class Whole:
    """A training that nothing disturbed.

    Attributes:
        host: where it was; its pictures are for other trainings as well.
        config: its settings. events: what it told. models: the checkpoint of each round. kept: each round's LoRA.
    """

    host: StandaloneHost
    config: TrainConfig
    events: list[ev.Event]
    models: list[str]
    kept: list[dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def whole(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    home = tmp_path_factory.mktemp("relora")
    paths = HostPaths(home / "loras", home / "outputs", home / "settings", home / "cache", home / "checkpoints")
    host, folder = StandaloneHost(checkpoint, paths), home / "pictures"
    folder.mkdir()
    for index, colour in enumerate([(220, 40, 40), (40, 220, 40), (40, 40, 220)]):
        Image.new("RGB", (64, 64), colour).save(folder / f"{index}.png")
        (folder / f"{index}.txt").write_text(f"zko, colour {index}", encoding="utf8")
    config = config_reading.from_dict({"name": "whole", "images": str(folder), **SETTINGS})
    models: list[str] = []
    kept: list[dict[str, torch.Tensor]] = []

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.Saved) and not event.final:
            kept.append(load_file(event.file))
        if isinstance(event, ev.Started):
            models.append(event.model)

    return Whole(host, config, train(config, host, watch), models, kept)


@pytest.fixture
def host(whole: Whole) -> StandaloneHost:
    return whole.host


@pytest.fixture
def small(whole: Whole, request: pytest.FixtureRequest) -> TrainConfig:
    """The same settings under a name of the test's own."""
    return replace(whole.config, name=request.node.name.removeprefix("test_")[:12])


def job(host: StandaloneHost, name: str) -> Path:
    return host.paths.outputs / search.JOBS / name


def merged(host: StandaloneHost, name: str) -> dict[str, torch.Tensor]:
    assert host.paths.checkpoints is not None
    return load_file(host.paths.checkpoints / f"{name}.safetensors")


def delta(state: dict[str, torch.Tensor], layer: str) -> torch.Tensor:
    up, down = (state[f"{layer}.lora_{side}.weight"].double().flatten(1) for side in ("up", "down"))
    return up @ down * (float(state[f"{layer}.alpha"]) / down.shape[0])


def layers(state: dict[str, torch.Tensor]) -> set[str]:
    return {name.partition(".")[0] for name in state}


def test_two_rounds_are_the_base_and_one_lora(whole: Whole, checkpoint: Path, tmp_path: Path) -> None:
    host, kept = whole.host, whole.kept
    assert [one.title for one in of(ev.PhaseStarted, whole.events)] == [
        "Round 1 of 2", "Merging round 1", "Round 2 of 2", "The checkpoint of all rounds", "One LoRA of all rounds"]
    assert whole.models == ["tiny.safetensors", "whole-after-round-01.safetensors"]
    assert host.checkpoint().path == checkpoint  # the host has its own again
    finished = whole.events[-1]
    assert isinstance(finished, ev.Finished) and finished.tag == "<lora:whole:1>" and finished.step == 6
    lora = tensors(host, "whole")
    for layer in layers(lora):
        both = delta(kept[0], layer) + delta(kept[1], layer)
        # Ranks side by side: nothing is rounded but each factor to float32.
        assert torch.allclose(delta(lora, layer), both, rtol=1e-5, atol=1e-6 * float(both.abs().max()))
        assert lora[f"{layer}.lora_down.weight"].shape[0] == 4
        assert not torch.allclose(kept[0][f"{layer}.lora_down.weight"], kept[1][f"{layer}.lora_down.weight"], atol=0.1)
    out = tmp_path / "again.safetensors"
    finish(into_checkpoint.run(IntoCheckpointOrder(checkpoint, (Source(host.paths.loras / "whole.safetensors"),), out)))
    again, found = load_file(out), merged(host, "whole")
    for name, tensor in found.items():
        # Both are the same sum rounded once to half precision: at a tie they may fall to either side.
        assert torch.allclose(tensor.double(), again[name].double(), rtol=2**-10, atol=2**-24), name
    assert not same_tensors(found, load_file(checkpoint))


def test_what_is_left(whole: Whole) -> None:
    host = whole.host
    assert host.paths.checkpoints is not None
    record = file.read_header(host.paths.checkpoints / "whole.safetensors")[1]
    assert len(json.loads(record["relora.rounds"])) == 2 and "tiny" in record["modelspec.merged_from"]
    left = sorted(path.name for path in (job(host, "whole") / "rounds").iterdir())
    assert left == ["whole-round-01.safetensors", "whole-round-02.safetensors"]  # the private checkpoint is gone
    assert (host.paths.loras / "whole.json").exists()


def test_rates_and_seeds_of_the_rounds(whole: Whole) -> None:
    tops = [event.lrs["unet"] for event in of(ev.Stepped, whole.events)]
    assert tops[3:] == pytest.approx([rate / 2 for rate in tops[:3]])  # the warm-up begins anew
    later = rounds.settings(whole.config, 2, Path("job"), None)
    assert (later.seed, later.validation_seed, later.unet_lr) == (43, 42, "0.01")
    assert rounds.rate_factors("1, 0.1", 2) == [1.0, 0.1]
    steps = replace(whole.config, unet_lr="2e-2:2, 1e-2", scheduler="constant")
    assert rounds.settings(steps, 2, Path("job"), None).unet_lr == "0.01:2, 0.005"


def test_a_stopped_training_goes_on_bit_for_bit(host: StandaloneHost, small: TrainConfig) -> None:
    """Stopped inside round 2, which needs the private checkpoint of round 1."""
    controls, done = Controls(), 0

    def stop(event: ev.Event) -> None:
        nonlocal done
        done += isinstance(event, ev.Stepped)
        if done == 5:
            controls.stop()

    first = train(small, host, stop, controls)
    private = rounds.checkpoint_file(job(host, small.name), small.name, 1)
    assert of(ev.Finished, first)[0].stopped and private.exists()
    private.unlink()  # whoever makes room thus loses nothing but the time of the merge
    second = train(replace(small, resume="auto"), host)
    assert of(ev.PhaseStarted, second)[0].title == "Merging round 1"
    assert len(of(ev.Stepped, first)) == 5 and len(of(ev.Stepped, second)) == 1
    assert same_tensors(tensors(host, small.name), tensors(host, "whole"))
    assert same_tensors(merged(host, small.name), merged(host, "whole"))
    assert not rounds.checkpoint_file(job(host, small.name), small.name, 1).exists()


def forget(job: Path, *parts: str) -> None:
    """Makes the record what a process leaves that is killed after it wrote the files and before it said so."""
    record = json.loads((job / "run.json").read_text("utf8"))
    for part in parts:
        del record["done"][part]
    (job / "run.json").write_text(json.dumps(record | {"finished": False}), "utf8")


def test_killed_between_a_file_and_its_record(host: StandaloneHost, small: TrainConfig) -> None:
    small = replace(small, round_rank=1)

    def kill(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.title == "Round 2 of 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small, host, kill)
    folder, again = job(host, small.name), replace(small, resume="auto")
    forget(folder, "merge-01")
    train(again, host)
    lora, checkpoint = tensors(host, small.name), merged(host, small.name)
    assert {tensor.shape[0] for name, tensor in lora.items() if "lora_down" in name} == {1}
    forget(folder, "checkpoint", "lora")
    events = train(again, host)
    assert not of(ev.Stepped, events) and isinstance(events[-1], ev.Finished) and events[-1].tag
    assert same_tensors(tensors(host, small.name), lora) and same_tensors(merged(host, small.name), checkpoint)


def test_thrown_away_it_leaves_nothing(host: StandaloneHost, small: TrainConfig) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.Started) and event.model.startswith(small.name):
            controls.stop(save=False)

    train(small, host, stop, controls)
    assert not list(job(host, small.name).rglob("*.safetensors"))
    assert not list(host.paths.loras.glob(f"{small.name}*"))
    assert host.paths.checkpoints is not None and not list(host.paths.checkpoints.glob(f"{small.name}*"))


def test_thrown_away_at_the_end_the_checkpoint_goes_too(host: StandaloneHost, small: TrainConfig) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.title == "One LoRA of all rounds":
            assert merged(host, small.name)
            controls.stop(save=False)

    events = train(small, host, stop, controls)
    assert small.name in [event.name for event in of(ev.Removed, events)] and isinstance(events[-1], ev.Finished)
    assert host.paths.checkpoints is not None
    assert not list(host.paths.checkpoints.glob(f"{small.name}*.safetensors"))


def test_kinds_that_depend_on_the_weights_become_a_checkpoint(
    host: StandaloneHost, small: TrainConfig, checkpoint: Path, tmp_path: Path
) -> None:
    events = train(replace(small, dora=True, round_result="checkpoint"), host)
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and finished.tag == ""
    base, folder = checkpoint, job(host, small.name) / "rounds"
    for number in (1, 2):  # each round's change is that of the checkpoint it was trained on
        lora, out = folder / f"{small.name}-round-{number:02d}.safetensors", tmp_path / f"{number}.safetensors"
        finish(into_checkpoint.run(IntoCheckpointOrder(base, (Source(lora),), out)))
        base = out
    assert same_tensors(load_file(finished.file), load_file(base))


def faults(config: TrainConfig, host: StandaloneHost) -> str:
    with pytest.raises(Problems) as raised:
        check.check(config, host)
    return str(raised.value)


def test_what_is_refused_before_the_start(host: StandaloneHost, small: TrainConfig) -> None:
    assert "not a number above 0" in faults(replace(small, round_rate="x"), host)
    assert "has 3 numbers, and there are 2 rounds" in faults(replace(small, round_rate="1,1,1"), host)
    assert "cannot be added up" in faults(replace(small, dora=True), host)
    assert host.paths.checkpoints is not None
    (host.paths.checkpoints / f"{small.name}.safetensors").write_bytes(b"mine")
    assert f"name {small.name!r} is taken (the checkpoint" in faults(small, host)
    (host.paths.checkpoints / f"{small.name}-2.yaml").write_text("{}", "utf8")
    assert f"{small.name}-2.yaml in" in faults(replace(small, name=f"{small.name}-2"), host)
    nowhere = StandaloneHost(host.checkpoint().path or Path(), replace(host.paths, checkpoints=None))
    assert "does not say where its checkpoints lie" in faults(small, nowhere)
    told = " ".join(check.check(replace(small, round_result="lora", warmup="0"), nowhere).warnings)
    assert "set a warm-up" in told and "2 rounds with the learning rates times 1, 0.5" in told


def test_the_disk_is_asked_before_the_first_round(host: StandaloneHost, small: TrainConfig, checkpoint: Path) -> None:
    usage = shutil.disk_usage(checkpoint)
    size = checkpoint.stat().st_size

    def free(number: int) -> Any:
        return mock.patch.object(shutil, "disk_usage", lambda path: usage._replace(free=number))

    config = replace(small, rounds=4)
    with free(3 * size - 1), pytest.raises(Problems, match="2 private checkpoints"):  # two and the result
        train(config, host)
    assert not (job(host, small.name) / "run.json").exists()


def test_the_disk_is_asked_for_a_merge_whose_file_is_gone(
    host: StandaloneHost, small: TrainConfig, checkpoint: Path
) -> None:
    """Its record says that it is done: without it there would be room for one copy in place of two."""
    config = replace(small, rounds=3, round_result="lora")
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.title == "Round 2 of 3":
            controls.stop()

    train(config, host, stop, controls)
    again, usage = replace(config, resume="auto"), shutil.disk_usage(checkpoint)
    size = checkpoint.stat().st_size
    room = usage._replace(free=int(1.9 * size))
    controls = Controls()
    with mock.patch.object(shutil, "disk_usage", lambda path: room):
        train(again, host, stop, controls)  # the first copy is there: room for one more
        rounds.checkpoint_file(job(host, small.name), small.name, 1).unlink()
        with pytest.raises(Problems, match="2 private checkpoints"):
            train(again, host)
