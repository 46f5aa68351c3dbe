"""ReLoRA on a tiny checkpoint: rounds that are merged, what comes out, what is left after a stop, what is refused."""
from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file

from lib_trainer.errors import Problems
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.methods import rounds
from lib_trainer.training.resume import search
from lib_trainer.workbench import into_checkpoint
from lib_trainer.workbench.into_checkpoint import IntoCheckpointOrder
from lib_trainer.workbench.operation import finish
from lib_trainer.workbench.sources import Source
from tests.conftest import Settings
from tests.training.runs import of, same_tensors, tensors, train


@pytest.fixture
def host(checkpoint: Path, tmp_path: Path) -> StandaloneHost:
    """The tiny host, which knows where new checkpoints go."""
    home = tmp_path / "home"
    paths = HostPaths(home / "loras", home / "outputs", home / "settings", home / "cache", home / "checkpoints")
    return StandaloneHost(checkpoint, paths)


@pytest.fixture
def small(settings: Settings) -> TrainConfig:
    """Two rounds of an epoch of 3 steps on few layers."""
    return settings(method="relora", rounds=2, round_rate="0.5", train_text_encoder=False, blocks="OUT09-OUT11",
                    epochs=1, save_precision="float", flip=True, scheduler="constant_with_warmup", warmup="1",
                    unet_lr="2e-2")


def job(host: StandaloneHost, name: str = "zko") -> Path:
    return host.paths.outputs / search.JOBS / name


def merged(host: StandaloneHost, name: str = "zko") -> dict[str, torch.Tensor]:
    assert host.paths.checkpoints is not None
    return load_file(host.paths.checkpoints / f"{name}.safetensors")


def delta(state: dict[str, torch.Tensor], layer: str) -> torch.Tensor:
    up, down = (state[f"{layer}.lora_{side}.weight"].double().flatten(1) for side in ("up", "down"))
    return up @ down * (float(state[f"{layer}.alpha"]) / down.shape[0])


def layers(state: dict[str, torch.Tensor]) -> set[str]:
    return {name.partition(".")[0] for name in state}


def test_two_rounds_are_the_base_and_one_lora(
    host: StandaloneHost, small: TrainConfig, checkpoint: Path, tmp_path: Path
) -> None:
    kept: dict[int, dict[str, torch.Tensor]] = {}
    models: list[str] = []

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.Saved) and not event.final:
            kept[len(kept) + 1] = load_file(event.file)
        if isinstance(event, ev.Started):
            models.append(event.model)

    events = train(small, host, watch)
    assert [one.title for one in of(ev.PhaseStarted, events)] == [
        "Round 1 of 2", "Merging round 1", "Round 2 of 2", "The checkpoint of all rounds", "One LoRA of all rounds"]
    assert models == ["tiny.safetensors", "zko-after-round-01.safetensors"]
    assert host.checkpoint().path == checkpoint  # the host has its own again
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and finished.tag == "<lora:zko:1>" and finished.step == 6
    lora = tensors(host)
    for layer in layers(lora):
        both = delta(kept[1], layer) + delta(kept[2], layer)
        # Ranks side by side: nothing is rounded but each factor to float32.
        assert torch.allclose(delta(lora, layer), both, rtol=1e-5, atol=1e-6 * float(both.abs().max()))
        assert lora[f"{layer}.lora_down.weight"].shape[0] == 4
        assert not torch.allclose(kept[1][f"{layer}.lora_down.weight"], kept[2][f"{layer}.lora_down.weight"], atol=0.1)
    out = tmp_path / "again.safetensors"
    finish(into_checkpoint.run(IntoCheckpointOrder(checkpoint, (Source(host.paths.loras / "zko.safetensors"),), out)))
    again, found = load_file(out), merged(host)
    for name, tensor in found.items():
        # Both are the same sum rounded once to half precision: at a tie they may fall to either side.
        assert torch.allclose(tensor.double(), again[name].double(), rtol=2**-10, atol=2**-24), name
    assert not same_tensors(found, load_file(checkpoint))
    record = file.read_header(job(host).parents[2] / "checkpoints" / "zko.safetensors")[1]
    assert len(json.loads(record["relora.rounds"])) == 2 and "tiny" in record["modelspec.merged_from"]
    left = sorted(path.name for path in (job(host) / "rounds").iterdir())
    assert left == ["zko-round-01.safetensors", "zko-round-02.safetensors"]  # the private checkpoint is gone
    assert (host.paths.loras / "zko.json").exists()


def test_rates_and_seeds_of_the_rounds(host: StandaloneHost, small: TrainConfig) -> None:
    events = train(replace(small, round_result="lora", round_rank=1), host)
    tops = [event.lrs["unet"] for event in of(ev.Stepped, events)]
    assert tops[3:] == pytest.approx([rate / 2 for rate in tops[:3]])  # the warm-up begins anew
    assert not (host.paths.checkpoints or Path()).joinpath("zko.safetensors").exists()
    assert {tensor.shape[0] for name, tensor in tensors(host).items() if "lora_down" in name} == {1}
    later = rounds.settings(small, 2, job(host), None)
    assert (later.seed, later.validation_seed, later.unet_lr) == (43, 42, "0.01")
    assert rounds.rate_factors("1, 0.1", 2) == [1.0, 0.1]
    steps = replace(small, unet_lr="2e-2:2, 1e-2", scheduler="constant")
    assert rounds.settings(steps, 2, job(host), None).unet_lr == "0.01:2, 0.005"


def test_a_stopped_training_goes_on_bit_for_bit(host: StandaloneHost, small: TrainConfig) -> None:
    """Stopped inside round 2, which needs the private checkpoint of round 1."""
    small = replace(small, state_every_steps=1)
    train(replace(small, name="whole"), host)
    controls, done = Controls(), 0

    def stop(event: ev.Event) -> None:
        nonlocal done
        done += isinstance(event, ev.Stepped)
        if done == 5:
            controls.stop()

    first = train(small, host, stop, controls)
    assert of(ev.Finished, first)[0].stopped and rounds.checkpoint_file(job(host), "zko", 1).exists()
    second = train(replace(small, resume="auto"), host)
    assert len(of(ev.Stepped, first)) == 5 and len(of(ev.Stepped, second)) == 1
    assert same_tensors(tensors(host), tensors(host, "whole"))
    assert same_tensors(merged(host), merged(host, "whole"))
    assert not rounds.checkpoint_file(job(host), "zko", 1).exists()


def forget(host: StandaloneHost, *parts: str) -> None:
    """Makes the record what a process leaves that is killed after it wrote the files and before it said so."""
    path = job(host) / "run.json"
    record = json.loads(path.read_text("utf8"))
    for part in parts:
        del record["done"][part]
    path.write_text(json.dumps(record | {"finished": False}), "utf8")


def test_killed_between_a_file_and_its_record(host: StandaloneHost, small: TrainConfig) -> None:
    def kill(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.title == "Round 2 of 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small, host, kill)
    forget(host, "merge-01")
    again = replace(small, resume="auto")
    train(again, host)
    lora, checkpoint = tensors(host), merged(host)
    forget(host, "checkpoint", "lora")
    events = train(again, host)
    assert not of(ev.Stepped, events) and isinstance(events[-1], ev.Finished) and events[-1].tag == "<lora:zko:1>"
    assert same_tensors(tensors(host), lora) and same_tensors(merged(host), checkpoint)


def test_thrown_away_it_leaves_nothing(host: StandaloneHost, small: TrainConfig) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.Started) and event.model.startswith("zko"):
            controls.stop(save=False)

    train(small, host, stop, controls)
    assert not list(job(host).rglob("*.safetensors")) and not list(host.paths.loras.glob("*"))
    assert not list((host.paths.checkpoints or Path()).iterdir())


def test_kinds_that_depend_on_the_weights_become_a_checkpoint(
    host: StandaloneHost, small: TrainConfig, checkpoint: Path, tmp_path: Path
) -> None:
    events = train(replace(small, dora=True, round_result="checkpoint"), host)
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and finished.tag == "" and finished.file.endswith("zko.safetensors")
    base = checkpoint
    for number in (1, 2):  # each round's change is that of the checkpoint it was trained on
        lora, out = job(host) / "rounds" / f"zko-round-{number:02d}.safetensors", tmp_path / f"{number}.safetensors"
        finish(into_checkpoint.run(IntoCheckpointOrder(base, (Source(lora),), out)))
        base = out
    assert same_tensors(merged(host), load_file(base))


def faults(config: TrainConfig, host: StandaloneHost) -> str:
    with pytest.raises(Problems) as raised:
        check.check(config, host)
    return str(raised.value)


def test_what_is_refused_before_the_start(host: StandaloneHost, small: TrainConfig, tmp_path: Path) -> None:
    assert "not a number above 0" in faults(replace(small, round_rate="x"), host)
    assert "has 3 numbers, and there are 2 rounds" in faults(replace(small, round_rate="1,1,1"), host)
    assert "cannot be added up" in faults(replace(small, dora=True), host)
    assert host.paths.checkpoints is not None
    (host.paths.checkpoints / "zko.safetensors").write_bytes(b"mine")
    assert "name 'zko' is taken (the checkpoint" in faults(small, host)
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
    assert not (job(host) / "run.json").exists()
