"""Pictures with LoRA tags in the doubles of AUTOMATIC1111, Forge and reForge: what a person or the API draws."""
from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lib_trainer import bootstrap
from lib_trainer.host_model import HostModel
from lib_trainer.lora import file as lora_file
from lib_trainer.lora.network import Network
from tests.contract import steps
from tests.contract.case import HostCase
from tests.contract.cases import CASES

ROOT = Path(__file__).resolve().parents[3]
WEBUIS = [name for name in CASES if name != "standalone"]


@dataclass(frozen=True)
class Drawn:
    """A picture, what was told with it, and its parameters."""

    pixels: bytes
    comments: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)


@contextmanager
def with_loras(name: str, folder: Path) -> Iterator[HostCase]:
    """A WebUI of doubles whose LoRAs are "one", "two", and "picture", which leaves the text encoder alone."""
    case = CASES[name](folder)
    try:
        with case.host.borrow_model() as lease, lease.turn() as model:
            made = {"one": network(model, 1), "two": network(model, 2),
                    "picture": network(model, 3, text_encoder=False)}
        for lora, adapters in made.items():
            saved(case, lora, adapters)
        yield case
    finally:
        case.close()


def our_script(case: HostCase, monkeypatch: pytest.MonkeyPatch, controls: int = 0) -> Any:
    """Returns the real script as the only one of the program, with its callbacks and so many controls."""
    from modules import script_callbacks, scripts

    monkeypatch.setattr(bootstrap, "webui", lambda: SimpleNamespace(host=case.host))
    monkeypatch.setitem(script_callbacks.callback_map, "cfg_denoiser", [])
    made = runpy.run_path(str(ROOT / "scripts" / "lora_block_weight.py"))["LoraBlockWeight"]()
    monkeypatch.setattr(scripts, "scripts_txt2img", scripts.ScriptRunner())
    return scripts.scripts_txt2img.add(made, *[SimpleNamespace(value=None)] * controls)


def process(prompt: str, sent: Sequence[Any] | None = None, **values: Any) -> tuple[Any, Any]:
    """Draws as the API does.

    Args:
        prompt: the prompt.
        sent: values of the script, the first ones of 18; None = without the program's scripts.

    Returns:
        the generation and what came of it.
    """
    from modules import call_queue, processing, scripts, shared

    with call_queue.queue_lock:
        shared.state.begin(job="txt2img")
        try:
            p = processing.StableDiffusionProcessingTxt2Img(
                sd_model=shared.sd_model, prompt=prompt,
                **{"seed": 3, "steps": 2, "width": 64, "height": 64, "sampler_name": "Euler", **values})
            if sent is not None:
                p.scripts = scripts.scripts_txt2img
                p.script_args = (0, *sent, *[None] * (18 - len(sent)))
            return p, processing.process_images(p)
        finally:
            shared.state.end()


def draw(prompt: str = "a cat", **values: Any) -> Drawn:
    """Draws as the API does, without scripts."""
    p, done = process(prompt, **values)
    return Drawn(done.images[0].tobytes(), [*p.comments, *_of_stock_network()], dict(p.extra_generation_params))


def _of_stock_network() -> list[str]:
    """Takes what AUTOMATIC1111's own LoRA network has told beside the picture's comments."""
    hijack = getattr(sys.modules.get("modules.sd_hijack"), "model_hijack", None)
    told = getattr(hijack, "comments", [])
    sentences = list(told)
    told.clear()
    return sentences


def distance(one: Drawn, other: Drawn) -> int:
    """Returns the greatest difference of two pictures, of 255."""
    a, b = (np.frombuffer(drawn.pixels, np.uint8).astype(int) for drawn in (one, other))
    return int(np.abs(a - b).max())


def saved(case: HostCase, name: str, network: Network) -> Path:
    """Puts a network into the host's LoRA folder, under the host's own names."""
    path = case.host.paths.loras / f"{name}.safetensors"
    lora_file.save(path, network.state_dict(torch.float32), {"ss_base_model_version": "sd_v1"})
    case.host.lora_saved(path)
    return path


def network(model: HostModel, seed: int, *, text_encoder: bool = True) -> Network:
    """Returns a LoRA that acts, another one for every seed."""
    made = steps.network(model, text_encoder=text_encoder)
    generator = torch.Generator().manual_seed(seed)
    for layer in made.layers.values():
        layer.up.data.copy_(torch.randn(layer.up.shape, generator=generator) * 0.2)
    return made
