"""Previews: the same prompts and seeds again and again, drawn by the host's own pipeline with the adapters on.

One turn per picture, so a generation waits for one preview at most. A preview that cannot be drawn or saved is told to
the person and does not end the training.
"""
from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host_model import Picture, PreviewRequest
from lib_trainer.training import preview_prompts
from lib_trainer.training.events import Event, Previewed, Warned
from lib_trainer.training.preview_prompts import Drawing
from lib_trainer.training.run import Run, patiently

FOLDER = "previews"


def due(run: Run) -> bool:
    """Whether previews are drawn after the present update."""
    config = run.config
    by_step = config.preview_every_steps and run.step % config.preview_every_steps == 0
    by_epoch = run.epoch_ended and config.preview_every_epochs and run.epoch % config.preview_every_epochs == 0
    return bool(by_step or by_epoch)


def owed(run: Run) -> bool:
    """Whether previews are drawn before the first update of this part of the run.

    Those that a stop broke off are drawn when the run goes on, where its end may depend on them.
    """
    if run.step == 0:
        return run.config.preview_at_first
    return due(run) and run.judge is not None and run.judge.lacks(run.step)


def draw(run: Run, asked: bool = False) -> Iterator[Event]:
    """Draws one picture per prompt and seed, with the weights that the adapters hold now.

    A prompt file is read again every time, so that it may be changed while the training runs.

    Args:
        run: the run. asked: whether the person wants them now, due or not.
    """
    if not run.world.is_main:
        return
    try:
        wanted = preview_prompts.drawings(run.config, run.step)
    except UserError as fault:
        yield Warned(f"The previews of step {run.step} could not be made: {fault}")
        return
    if not wanted:
        yield Warned("There is nothing to preview: write prompts under 'Preview prompts', one per line.")
        return
    drawn: list[tuple[str, Drawing]] = []
    for index, drawing in enumerate(wanted):
        if run.controls.stopping:
            break
        file = yield from _draw_one(run, drawing, index)
        if file:
            drawn.append((file, drawing))
    if drawn:
        run.preview = Path(drawn[0][0])
        yield Previewed(
            run.step, [file for file, _ in drawn], [one.request.prompt for _, one in drawn],
            [one.request.seed for _, one in drawn], [one.is_random for _, one in drawn], asked,
        )


def _draw_one(run: Run, drawing: Drawing, index: int) -> Generator[Event, None, str]:
    """Draws and saves one picture; returns its file, "" where there is none."""
    prompt = drawing.request.prompt
    shown = repr(prompt) if prompt else "the txt2img tab's prompt"
    try:
        picture = yield from patiently(run.controls, run.step, partial(_picture, run, drawing.request))
        if picture is None:
            return ""
        file = str(_store(run, picture, index))
    except UserError as fault:
        yield Warned(f"The preview of {shown} could not be made: {fault}")
        return ""
    for comment in picture.comments:
        yield Warned(f"Preview of {shown}: {comment}")
    return file


def _picture(run: Run, request: PreviewRequest) -> Picture:
    with run.turn() as model:
        return model.preview(preview_prompts.with_sampler_of(run.host, request))


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
