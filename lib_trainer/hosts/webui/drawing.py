"""Previews through the host's own `process_images`, inside a turn.

A preview is drawn as the host's API draws txt2img: its sampler, its scheduler, every always-on script with the values
its panel starts with. On request it takes all that from the last picture of the txt2img tab instead, hires fix, styles
and scripts' values included. The caller saves it. Whatever a generation leaves behind (random generators, cached text
states, the last prompt, the progress) is put back, so that a preview never changes the training or a later picture.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.host_model import Checkpoint, Picture, PreviewRequest
from lib_trainer.hosts.webui import lists, untouched
from lib_trainer.hosts.webui.last_txt2img import LastTxt2Img
from lib_trainer.hosts.webui.state import StateDisplay

_HOST_NAMES = {"negative": "negative_prompt", "steps": "steps", "cfg": "cfg_scale", "width": "width",
               "height": "height"}
"""Field of a request -> the host's name."""


def draw(request: PreviewRequest, checkpoint: Checkpoint, last: LastTxt2Img, display: StateDisplay) -> Picture:
    """Draws one picture as the host's txt2img would, with whatever is hooked onto the model now.

    Args:
        request: what to draw.
        checkpoint: the loaded one.
        last: the txt2img tab's last picture.
        display: the host's progress.

    Raises:
        UserError: a value the host cannot draw with, nothing to take the values from, or the person ended the picture.
    """
    if request.like_txt2img:
        fields, script_args, notes = _from_tab(request, last)
    else:
        fields, script_args, notes = _fields(request, checkpoint), (), []
    with untouched.random_states(), untouched.prompt_memory(), closing(_processing(fields, script_args)) as p:
        picture = _process(p, display)
    picture.comments[:0] = [*notes, *_not_followed(request, checkpoint)]
    return picture


def _not_followed(request: PreviewRequest, checkpoint: Checkpoint) -> Iterator[str]:
    """What the host's own pipeline draws in its own way: it knows the checkpoint, and not what is set for a run."""
    if request.prediction not in ("", checkpoint.prediction):
        yield (f"The host draws with the prediction '{checkpoint.prediction}' of its own, the training has "
               f"'{request.prediction}': previews will not show what is learned.")
    if request.zero_terminal_snr not in ("auto", "on" if checkpoint.zero_terminal_snr else "off"):
        yield ("The host draws with its own noise schedule, which has "
               f"{'a' if checkpoint.zero_terminal_snr else 'no'} zero terminal SNR; that of the training is set to "
               f"'{request.zero_terminal_snr}'. Change the host's 'Noise schedule for sampling' where it has that.")


def _fields(request: PreviewRequest, checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns the host's names for what a request asks."""
    width, height = request.width or checkpoint.resolution, request.height or checkpoint.resolution
    if width % 8 or height % 8:
        raise UserError(f"A preview's width and height must be multiples of 8, got {width}x{height}.")
    sampler, scheduler = lists.sampler_and_scheduler(request.sampler)
    return {
        "prompt": request.prompt, "negative_prompt": request.negative, "seed": request.seed, "steps": request.steps,
        "cfg_scale": request.cfg, "width": width, "height": height, "sampler_name": sampler, "scheduler": scheduler,
        "override_settings": _clip_skip(request.clip_skip),
    }


def _clip_skip(layers: int) -> dict[str, int]:
    """Returns the setting that a preview needs; none where the host has it already (its settings may be frozen)."""
    from modules.shared import opts

    return {} if opts.CLIP_stop_at_last_layers == layers else {"CLIP_stop_at_last_layers": layers}


def _from_tab(request: PreviewRequest, last: LastTxt2Img) -> tuple[dict[str, Any], Sequence[Any], list[str]]:
    remembered = last.recall()
    fields = {**remembered.fields, "seed": request.seed}
    if request.prompt:
        fields["prompt"] = request.prompt
    for name in request.explicit & _HOST_NAMES.keys():
        fields[_HOST_NAMES[name]] = getattr(request, name)
    if "sampler" in request.explicit:
        fields["sampler_name"], fields["scheduler"] = lists.sampler_and_scheduler(request.sampler)
    return fields, remembered.script_args, list(remembered.left_out)


def _processing(fields: dict[str, Any], script_args: Sequence[Any]) -> Any:
    """Returns the host's generation; no `script_args` = what the scripts' panels start with."""
    from modules import processing, scripts

    p = processing.StableDiffusionProcessingTxt2Img(
        **fields, batch_size=1, n_iter=1, do_not_save_samples=True, do_not_save_grid=True)
    p.is_api = True  # scripts of the tab's own fields (seed, sampler) must not set theirs over these
    untouched.give_own_caches(p)
    p.scripts = scripts.scripts_txt2img
    p.script_args = tuple(script_args or lists.script_defaults(scripts.scripts_txt2img))
    return p


def _process(p: Any, display: StateDisplay) -> Picture:
    from modules import devices, processing, shared

    with display.picture():
        try:
            with _ended(p):
                processed = processing.process_images(p)
        except devices.NansException as error:
            raise UserError(f"The host could not draw it: {error}") from error
        if shared.state.interrupted or shared.state.skipped or not processed.images:
            raise UserError("It was ended before it was finished (Skip or Interrupt).")
        first = processed.index_of_first_image
        shared.state.assign_current_image(processed.images[first])
    comments = [line for line in processed.comments.splitlines() if line.strip()]
    return Picture(processed.images[first], processed.infotexts[first], comments)


@contextmanager
def _ended(p: Any) -> Iterator[None]:
    """Ends a generation that dies as the host ends the others: it deactivates their extra networks only."""
    from modules import extra_networks, shared

    finished = False
    try:
        yield
        finished = True
    finally:
        if not finished and p.extra_network_data:
            extra_networks.deactivate(p, p.extra_network_data)
        shared.total_tqdm.clear()
