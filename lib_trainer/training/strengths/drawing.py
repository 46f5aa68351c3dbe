"""Draws a finished slider at several strengths: the same prompts and seeds side by side, through the host's pipeline.

The LoRA is read from its file and acts as LoRAs beneath a training do, so the pictures show what the file does. Every
picture carries what it was drawn of; a training that goes on draws only those that are missing.
"""
from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from lib_trainer.data.sample import Placed
from lib_trainer.errors import UserError
from lib_trainer.host import Host, Lease
from lib_trainer.host_model import Picture, PreviewRequest
from lib_trainer.lora import file as lora_file
from lib_trainer.lora import whole
from lib_trainer.lora.metadata import MODEL_HASH
from lib_trainer.training import beneath, preview_prompts
from lib_trainer.training.beneath import Beneath
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event, Warned, Worked
from lib_trainer.training.run import patiently, while_paused
from lib_trainer.training.strengths import asked, sheet
from lib_trainer.training.strengths.events import StrengthsDrawn, StrengthsSheet

FOLDER = "strengths"
"""Of the pictures, inside the job's folder."""

DOING = "Pictures of the result"

_OF = "train_lora"
"""Where a picture's file says what it was drawn of."""


@dataclass
class Result:
    """A finished LoRA and what draws it.

    Attributes:
        config, host, controls, lease: of its training. folder: the job's.
        file: the LoRA. step: updates done.
    """

    config: TrainConfig
    host: Host
    controls: Controls
    lease: Lease
    folder: Path
    file: Path
    step: int
    _acting: list[Beneath] = field(default_factory=list)

    def picture(self, request: PreviewRequest, strength: float) -> Picture:
        """Draws in a turn of its own, with the LoRAs beneath the training and the result at a strength.

        Raises:
            UserError: it cannot be drawn, or the file cannot be read.
        """
        with self.lease.turn() as model:
            if not self._acting:
                self._acting = [beneath.of_file(self.file, 1.0, model)[0],
                                *beneath.load(self.config.base_loras, self.host, model)[0]]
            slider, *others = self._acting
            acting = [*others, replace(slider, strength=strength)] if strength else others
            with beneath.attached(acting, [*model.targets(), *model.other_targets()]):
                return model.preview(preview_prompts.with_sampler_of(self.host, request))

    def mark(self, request: PreviewRequest, strength: float) -> str:
        """Returns what tells a picture of this very file, request and strength from all others."""
        facts = lora_file.read_header(self.file)[1]
        drawn_of = [facts.get(MODEL_HASH, ""), self.config.base_loras, strength,
                    {**asdict(request), "explicit": sorted(request.explicit)}]
        return hashlib.sha256(json.dumps(drawn_of).encode("utf8")).hexdigest()


def draw(result: Result, pictures: Sequence[Placed]) -> Iterator[Event]:
    """Draws what the settings ask for, row by row, until all is drawn or the person stops.

    What cannot be drawn is told: the LoRA itself is finished.

    Args:
        result: the LoRA.
        pictures: what it has learned from.
    """
    try:
        requests, strengths = asked.requests(result.config, pictures), asked.strengths(result.config)
        rows: list[StrengthsDrawn] = []
        for row, request in enumerate(requests):
            files = yield from _row(result, request, strengths, (row, len(requests)))
            if len(files) < len(strengths):
                return
            rows.append(StrengthsDrawn(result.step, request.prompt, request.seed, strengths, files))
            yield rows[-1]
        path = sheet.write(result.folder / "strengths.png", result.file.stem, rows)
        yield StrengthsSheet(result.step, str(path or ""), str(result.folder / FOLDER), strengths,
                             sum(len(row.files) for row in rows))
    except UserError as fault:
        yield Warned(f"The LoRA is finished, but not all pictures of it could be made: {fault}")


def strongest(row: StrengthsDrawn) -> Path:
    """Returns the picture of a row that shows the most of the LoRA as it is meant."""
    return Path(row.files[row.strengths.index(max(row.strengths))])


def broken_off(name: str) -> str:
    """Returns what a person is told who stops while the result is drawn."""
    return (f"{name!r} is finished and saved; only pictures of it are missing. 'Continue this training', or resume = "
            "auto, draws them.")


def _row(
    result: Result, request: PreviewRequest, strengths: Sequence[float], place: tuple[int, int]
) -> Generator[Event, None, list[str]]:
    """Draws one prompt and seed at all strengths; returns the files, fewer where the person stopped.

    Args:
        place: the row's number from 0, and how many there are.

    Raises:
        UserError: a picture cannot be drawn or saved.
    """
    files: list[str] = []
    for strength in strengths:
        yield Worked(DOING, place[0] * len(strengths) + len(files), place[1] * len(strengths))
        yield from while_paused(result.controls, result.step)
        if result.controls.stopping:
            break
        name = f"{place[0] + 1:02d}-seed{request.seed}-at{strength:+g}.png"
        path, mark = result.folder / FOLDER / name, result.mark(request, strength)
        if not _is_drawn(path, mark):
            drawn = partial(result.picture, request, strength)
            picture = yield from patiently(result.controls, result.step, drawn)
            if picture is None:
                break
            _store(path, picture, mark)
            for comment in picture.comments:
                yield Warned(f"Picture of the result at strength {strength:g}: {comment}")
        files.append(str(path))
    return files


def _is_drawn(path: Path, mark: str) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as found:
            return bool(found.info.get(_OF) == mark)
    except OSError:
        return False


def _store(path: Path, picture: Picture, mark: str) -> None:
    """Saves a picture with its infotext.

    Raises:
        UserError: it cannot be written.
    """
    from PIL.PngImagePlugin import PngInfo

    facts, content = PngInfo(), io.BytesIO()
    facts.add_text("parameters", picture.infotext)
    facts.add_text(_OF, mark)
    picture.image.save(content, "PNG", pnginfo=facts)
    whole.write(path, content.getvalue(), overwrite=True)
