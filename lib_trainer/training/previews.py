"""Previews: the same prompts and seeds again and again, drawn by the host's own pipeline with the adapters on.

One turn per picture, so a generation waits for one preview at most. A preview that cannot be drawn or saved is told to
the person and does not end the training.
"""
from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Picture, PreviewRequest
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.events import Event, Previewed, Warned
from lib_trainer.training.run import Run, patiently

FOLDER = "previews"


def prompts(config: TrainConfig) -> list[str]:
    """Returns the prompts, one per line; lines that begin with # are notes. "" = that of the txt2img tab."""
    lines = (line.strip() for line in config.preview_prompts.splitlines())
    written = [line for line in lines if line and not line.startswith("#")]
    return written or ([""] if config.preview_like_txt2img else [])


def due(run: Run) -> bool:
    """Whether previews are drawn after the present update."""
    config = run.config
    by_step = config.preview_every_steps and run.step % config.preview_every_steps == 0
    by_epoch = run.epoch_ended and config.preview_every_epochs and run.epoch % config.preview_every_epochs == 0
    return bool(by_step or by_epoch)


def draw(run: Run) -> Iterator[Event]:
    """Draws one picture per prompt."""
    wanted = prompts(run.config)
    if not run.world.is_main:
        return
    if not wanted:
        yield Warned("There is nothing to preview: write prompts under 'Preview prompts', one per line.")
        return
    files: list[str] = []
    drawn: list[str] = []
    for index, prompt in enumerate(wanted):
        if run.controls.stopping:
            break
        try:
            picture = yield from patiently(run.controls, run.step, partial(_picture, run, prompt))
            if picture is None:
                break
            files.append(str(_store(run, picture, index)))
        except UserError as fault:
            yield Warned(f"The preview of {_shown(prompt)} could not be made: {fault}")
            continue
        drawn.append(prompt)
        for comment in picture.comments:
            yield Warned(f"Preview of {_shown(prompt)}: {comment}")
    if files:
        run.preview = Path(files[0])
        yield Previewed(run.step, files, drawn)


def _shown(prompt: str) -> str:
    return repr(prompt) if prompt else "the txt2img tab's prompt"


def _picture(run: Run, prompt: str) -> Picture:
    config = run.config
    request = PreviewRequest(
        prompt=prompt, negative=config.preview_negative, seed=config.preview_seed, steps=config.preview_steps,
        cfg=config.preview_cfg, width=config.preview_width, height=config.preview_height,
        sampler=config.preview_sampler, clip_skip=config.clip_skip, like_txt2img=config.preview_like_txt2img,
    )
    with run.turn() as model:
        return model.preview(request)


def _store(run: Run, picture: Picture, index: int) -> Path:
    """Saves a picture with its infotext under a free name.

    Raises:
        UserError: it cannot be written.
    """
    from PIL.PngImagePlugin import PngInfo

    facts = PngInfo()
    facts.add_text("parameters", picture.infotext)
    folder = run.folder / FOLDER
    base = f"{run.step:08d}-{index:02d}"
    names = (f"{base}{f'-{n}' if n > 1 else ''}.png" for n in range(1, 10_000))
    try:
        folder.mkdir(exist_ok=True)
        path = next(folder / name for name in names if not (folder / name).exists())
        picture.image.save(path, pnginfo=facts)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): make room on the disk.") from None
    return path
