"""Decoding every picture once before training, so that a broken file is known before the first step.

A header says nothing about the rest of a file: a download that was cut off shows only when it is decoded. The number of
steps depends on the number of pictures, therefore this pass comes before the plan of the run is made.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from lib_trainer.data.item import Item
from lib_trainer.data.scanning.gathering import Skipped
from lib_trainer.data.scanning.known_files import KnownFiles
from lib_trainer.data.scanning.opening import UnreadablePicture, open_rgb
from lib_trainer.data.scanning.reading_ahead import read_ahead

_DECODERS = 4


@dataclass(frozen=True)
class Progress:
    """How far a pass over the data is.

    Attributes:
        what: "pictures" (verifying), "latents" or "captions" (caching).
        done: of `total` units.
        skipped: the picture that was found broken just now, if any.
    """

    what: str
    done: int
    total: int
    skipped: Skipped | None = None


def verify(
    items: Sequence[Item], stopping: Callable[[], bool] = lambda: False, known: KnownFiles | None = None
) -> Iterator[Progress]:
    """Decodes all pictures; yields after each. Hand the `skipped` ones to `Dataset.without`.

    Args:
        items: the pictures.
        stopping: asked between pictures; when it turns true the pass ends early.
        known: which files were decoded before and have not changed since: those are passed over.
    """
    ledger = known or KnownFiles()
    with closing(read_ahead(items, lambda item: _fault(item, ledger), _DECODERS, 4 * _DECODERS)) as decoded:
        for done, (item, reason) in enumerate(decoded, start=1):
            yield Progress("pictures", done, len(items), Skipped(item.path, reason) if reason else None)
            if stopping():
                return


def _fault(item: Item, known: KnownFiles) -> str:
    found = known.find(item.path)
    if found and found.whole:
        return ""
    try:
        content, _ = known.read(item.path)
        open_rgb(item.path, content).close()
    except UnreadablePicture as error:
        return str(error)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    known.mark_whole(item.path)
    return ""
