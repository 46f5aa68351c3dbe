"""Puts the probe's routes and its always-on script into the host; the work is in `train_lora_probe`."""
from __future__ import annotations

from typing import Any

from modules import script_callbacks, scripts
from train_lora_probe import costs, draws, routes


class Probe(scripts.Script):
    """Notes when the host begins and ends to draw; shows nothing."""

    def title(self) -> str:
        return "Train LoRA probe"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def process(self, p: Any, *_: Any) -> None:
        draws.began()

    def postprocess(self, p: Any, processed: Any, *_: Any) -> None:
        draws.ended(str(processed.comments))


costs.watch()
script_callbacks.on_app_started(routes.add)
