"""Block weights of LoRAs in a WebUI: the panel under txt2img and img2img, and the joints to generation.

The name of this file is known to other extensions (ADetailer lets it act on its own passes). Everything is done in
lib_trainer.
"""
from __future__ import annotations

from typing import Any

from modules import script_callbacks, scripts

from lib_trainer import bootstrap


class LoraBlockWeight(scripts.Script):
    """Always there, with no value of its own: a tag such as <lora:name:0.8:NCNF> in the prompt is all it takes."""

    prompt: Any = None

    def title(self) -> str:
        """The name in the page and in the API's `alwayson_scripts`."""
        return "LoRA Block Weight"

    def show(self, is_img2img: bool) -> object:
        """Shown under both tabs."""
        return scripts.AlwaysVisible

    def after_component(self, component: object, **kwargs: Any) -> None:
        """Remembers the prompt's text box, which the panel explains."""
        if kwargs.get("elem_id") == ("img2img_prompt" if self.is_img2img else "txt2img_prompt"):
            self.prompt = component

    def ui(self, is_img2img: bool) -> list[Any]:
        """Lays out the panel; with the API on the WebUI calls this more than once."""
        bootstrap.webui_block_weight_panel("img2img" if is_img2img else "txt2img", self.prompt)
        return []

    def before_process(self, p: object, *args: object) -> None:
        """Remembers what the person draws, for previews that are like it."""
        bootstrap.webui().host.generation_begins(p)


script_callbacks.on_before_ui(bootstrap.webui_before_ui)
script_callbacks.on_app_started(bootstrap.webui_generation)
script_callbacks.on_infotext_pasted(bootstrap.webui_pasted)
