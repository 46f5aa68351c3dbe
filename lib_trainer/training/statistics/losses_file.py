"""The file `losses.json` in a job's folder: losses by timestep and by picture, for page, API and command line.

It is written anew now and then while the run goes on, whole or not at all, and stays after it.
"""
from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.training.statistics.watch import Band, Watched

NAME = "losses.json"
_COLUMNS = ("loss", "uses", "file", "caption")


def write(folder: Path, step: int, bands: Sequence[Band], pictures: Sequence[Watched]) -> None:
    """Writes the file.

    Raises:
        UserError: it cannot be written.
    """
    rows = [{"file": one.item.shown, "caption": one.item.caption, "loss": round(one.loss, 4), "uses": one.uses,
             **({} if one.item.is_picture else {"is_prompt": True})} for one in pictures]
    # In one go and without spaces: with fifty thousand pictures the training waits half a second for it.
    text = json.dumps({"step": step, "bands": [asdict(band) for band in bands], "pictures": rows}, ensure_ascii=False)
    path = folder / NAME
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(text, encoding="utf8", errors="surrogatepass")
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): make room on the disk.") from None


def read(folder: Path) -> dict[str, Any]:
    """Returns `step`, `bands` and `pictures` as written; every picture with its `number` in the file.

    Raises:
        UserError: there is no such file, or it is damaged.
    """
    path = folder / NAME
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf8", errors="surrogatepass"))
        for number, picture in enumerate(found["pictures"]):
            picture["number"] = number
    except FileNotFoundError:
        raise UserError(f"{folder} holds no {NAME}: it is written after the first 10 steps of a training.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from None
    return found


def ranked(pictures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the pictures that were used, the highest loss first."""
    return sorted((one for one in pictures if one["uses"]), key=lambda one: -one["loss"])


def as_csv(pictures: Sequence[dict[str, Any]]) -> str:
    """Returns the pictures as a table with a head, one picture a line."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(pictures)
    return text.getvalue()
