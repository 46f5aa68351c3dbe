"""Whole trainings of the tests, and what they leave behind."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from lib_trainer import seeds
from lib_trainer.host_model import HostModel
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file, network
from lib_trainer.lora.network import Network, NetworkSpec
from lib_trainer.training import events as ev
from lib_trainer.training import recipe
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls

Watch = Callable[[ev.Event], None]


def train(
    config: TrainConfig, host: StandaloneHost, watch: Watch = lambda event: None, controls: Controls | None = None
) -> list[ev.Event]:
    """Runs a training; `watch` sees each event before the training goes on."""
    seen = []
    for event in recipe.run(config, host, controls or Controls()):
        seen.append(event)
        watch(event)
    return seen


def of(kind: type[ev.Event], events: list[ev.Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


def stop_after(step: int, controls: Controls, save: bool = True) -> Watch:
    """Returns a watch that presses Stop after an update."""
    return lambda event: controls.stop(save) if isinstance(event, ev.Stepped) and event.step == step else None


def tensors(host: StandaloneHost, name: str = "zko") -> dict[str, torch.Tensor]:
    return file.load(host.paths.loras / f"{name}.safetensors").tensors


def facts(host: StandaloneHost, name: str = "zko") -> dict[str, str]:
    return file.load(host.paths.loras / f"{name}.safetensors").metadata


def changing(model: HostModel, spec: NetworkSpec) -> Network:
    """Returns fresh adapters that change something already."""
    made = network.create(model.targets(), spec, model.checkpoint.family, 1)
    for name, layer in made.layers.items():
        for key, weight in layer.named_parameters():
            if "up" in key:
                weight.data.normal_(0, 0.2, generator=seeds.torch_generator(1, name))
    return made


def same_tensors(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def pairs_of_squares(parent: Path, caption: str) -> Path:
    """Writes three pairs that differ in a white square; `caption` has a place for the pair's number."""
    folder = parent / "pairs"
    folder.mkdir()
    for index, colour in enumerate([(220, 40, 40), (40, 220, 40), (40, 40, 220)]):
        picture = Image.new("RGB", (64, 64), colour)
        picture.save(folder / f"{index}.png")
        ImageDraw.Draw(picture).rectangle((20, 20, 40, 40), fill="white")
        picture.save(folder / f"{index}_after.png")
        (folder / f"{index}.txt").write_text(caption.format(index), encoding="utf8")
    return folder
