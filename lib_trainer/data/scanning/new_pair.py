"""Two pictures that were dropped as a pair become files of a dataset folder, with names that make them a pair.

The pair is called as its first picture; the endings are those of the settings, so that the folder can be trained on at
once. The files are copied as they are: a picture that was saved anew would differ everywhere by a little, and that
would be learned. Nothing is overwritten: a name that is taken gets a number.
"""
from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

from lib_trainer.data.scanning import new_folder
from lib_trainer.data.scanning.names import ending, readable_endings, stem_of
from lib_trainer.data.scanning.opening import UnreadablePicture, read_size
from lib_trainer.data.scanning.pairs import Endings
from lib_trainer.errors import Problems, UserError


@dataclass(frozen=True)
class Half:
    """One picture of a pair.

    Attributes:
        name: of its file, as the browser tells it. file: where it was uploaded to.
        caption: written for it, "" = none.
    """

    name: str
    file: Path
    caption: str = ""


def add(datasets: Path, dataset: str, halves: tuple[Half, Half], endings: Endings, extension: str) -> Path:
    """Puts a pair into `datasets/dataset`, which is made when it is missing; returns the folder.

    Args:
        datasets: the folder that holds the dropped datasets.
        dataset: one folder name.
        halves: the first and the second picture.
        endings: of their names, two different ones.
        extension: of caption files, with its dot.

    Raises:
        Problems: a file is no picture, or the endings are the same. UserError: no usable name, or the disk refuses.
    """
    if faults := list(_faults(halves, endings)):
        raise Problems(faults)
    stem = _bare(stem_of(PurePosixPath(halves[0].name.replace("\\", "/")).name), endings.before)
    named = list(zip(_free(datasets / dataset.strip().rstrip("."), stem, halves, endings, extension), halves,
                     strict=True))
    with ExitStack() as opened:
        files = [(name + ending(half.name), opened.enter_context(half.file.open("rb"))) for name, half in named]
        texts = [(name + extension, io.BytesIO(half.caption.strip().encode("utf8")))
                 for name, half in named if half.caption.strip()]
        folder, refused = new_folder.add(datasets, dataset, [*files, *texts])
    if refused:
        raise UserError(" ".join(refused))
    return folder


def _faults(halves: tuple[Half, Half], endings: Endings) -> Iterator[str]:
    if endings.before.casefold() == endings.after.casefold():
        yield (f"Both pictures of a pair would have names that end in {endings.after!r}: write an ending such as "
               "_after for the second one.")
    for half in halves:
        if ending(half.name) not in readable_endings():
            yield f"{half.name} is no picture that can be read here: choose {', '.join(sorted(readable_endings()))}."
            continue
        try:
            read_size(half.file)
        except UnreadablePicture as error:
            yield f"{half.name} cannot be used: {error}."


def _bare(stem: str, text: str) -> str:
    has = text and stem.casefold().endswith(text.casefold()) and len(stem) > len(text)
    return stem[: -len(text)] if has else stem


def _free(
    folder: Path, stem: str, halves: tuple[Half, Half], endings: Endings, extension: str
) -> tuple[str, str]:
    """Returns the two names without ".png", with a number where a file has one of them."""
    for number in count(1):
        base = stem if number == 1 else f"{stem}-{number}"
        names = base + endings.before, base + endings.after
        files = [name + ending(half.name) for name, half in zip(names, halves, strict=True)]
        if not any((folder / file).exists() for file in [*files, *(name + extension for name in names)]):
            return names
    raise RuntimeError("Numbers have come to an end.")
