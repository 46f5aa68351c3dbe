"""Block weights of LoRAs in a WebUI: its panel and its joints to generation. ADetailer knows this file by its name."""
from typing import Any

from modules import script_callbacks, scripts

from lib_trainer import bootstrap


class LoraBlockWeight(scripts.Script):
    """Always there; a tag such as <lora:name:0.8:NCNF> in the prompt is all it takes, the values are for plots."""

    prompt: Any = None

    def title(self) -> str:
        """The name in the page and in the API's `alwayson_scripts`: "LoRA Block Weight", unless that is taken."""
        return bootstrap.webui().host.other.our_title

    def show(self, is_img2img: bool) -> object:
        """Shown under both tabs."""
        return scripts.AlwaysVisible

    def after_component(self, component: object, **kwargs: Any) -> None:
        """Remembers the prompt's text box, which the panel explains."""
        if kwargs.get("elem_id") == ("img2img_prompt" if self.is_img2img else "txt2img_prompt"):
            self.prompt = component

    def ui(self, is_img2img: bool) -> list[Any]:
        """Lays out the panel and returns the script's values; with the API on the WebUI calls this more than once."""
        return bootstrap.webui_block_weight_panel("img2img" if is_img2img else "txt2img", self.prompt)

    def run(self, p: object, *args: object) -> object:
        """Called by the LoRA Block Weight extension alone, which means its own script."""
        return bootstrap.webui().host.other.run(p)

    def before_process(self, p: object, *args: object) -> None:
        """Reads the values, and remembers what the person draws, for previews that are like it."""
        bootstrap.webui().host.generation_begins(p, args)

    def process(self, p: object, *args: object) -> None:
        """Begins a plot, now that the prompts are known."""
        bootstrap.webui().host.requests.prompts_known(p)

    def before_process_batch(self, p: object, *args: object, **kwargs: object) -> None:
        """Readies the next cell of a plot."""
        bootstrap.webui().host.requests.batch_begins(p)

    def process_batch(self, p: object, *args: object, **kwargs: object) -> None:
        """Readies LoRAs that act in some steps only."""
        bootstrap.webui().host.windows.sampling_begins(p)
    before_hr = process_batch  # the hires pass has text states and steps of its own

    def postprocess(self, p: object, processed: object, *args: object) -> None:
        """Shows what came of a plot."""
        bootstrap.webui().host.requests.ends(p, processed)


script_callbacks.on_before_ui(bootstrap.webui_before_ui)
script_callbacks.on_app_started(bootstrap.webui_generation)
script_callbacks.on_cfg_denoiser(bootstrap.webui_step_begins)
script_callbacks.on_infotext_pasted(bootstrap.webui_pasted)
