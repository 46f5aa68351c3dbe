"""Previews through the host's own `process_images`, inside a turn."""
from __future__ import annotations

from lib_trainer.host import Picture, PreviewRequest
from lib_trainer.hosts.webui.state import StateDisplay


def draw(request: PreviewRequest, display: StateDisplay) -> Picture:
    """Draws one picture as the host's txt2img would, with whatever is hooked onto the model now."""
    from modules import processing

    p = processing.StableDiffusionProcessingTxt2Img(
        prompt=request.prompt, negative_prompt=request.negative, seed=request.seed, steps=request.steps,
        cfg_scale=request.cfg, width=request.width, height=request.height, sampler_name=request.sampler or None,
        do_not_save_samples=True, do_not_save_grid=True,
    )
    processed = processing.process_images(p)
    return Picture(processed.images[0], processed.infotexts[0])
