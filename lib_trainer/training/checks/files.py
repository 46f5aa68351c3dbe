"""The file to be written: its name, its folder, what is there already."""
from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training.config import TrainConfig

SUFFIX = ".safetensors"
_SAVES = r"-\d{6}|-step\d{8}"
"""What is added to a name by the saves between start and end."""


def output_folder(config: TrainConfig, host: Host) -> Path:
    """Returns the folder of the finished LoRA."""
    return Path(config.output_folder).absolute() if config.output_folder else host.paths.loras


def name(config: TrainConfig, host: Host, own: frozenset[Path] = frozenset()) -> Iterator[str]:
    """The name, the folder it is saved to, and the files that are there already.

    Args:
        config: the settings. host: where to train.
        own: files that a run which goes on has written itself.
    """
    folder = output_folder(config, host)
    if not config.name:
        yield "Name is empty: write a name; the file becomes NAME.safetensors and the tag <lora:NAME:1>."
    if problem := _unwritable(folder):
        yield f"The LoRA cannot be saved to {str(folder)!r} ({problem}): choose another folder under 'Save to'."
    elif config.name:
        saves = f"({_SAVES}|-best)?" if config.early_stopping else f"({_SAVES})?"
        taken = re.compile(re.escape(config.name) + saves + re.escape(SUFFIX), re.IGNORECASE)
        found = sorted(path.name for path in folder.glob("*" + SUFFIX)
                       if taken.fullmatch(path.name) and path not in own)
        if found:
            files = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
            yield (f"The name {config.name!r} is taken ({files} in {str(folder)!r}) and nothing is overwritten: "
                   "choose another name, or move these files.")


def _unwritable(folder: Path) -> str:
    """Returns why nothing can be written into a folder (or the nearest one above, if it is yet to be made), or ""."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            return ""
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def thumbnail(config: TrainConfig) -> Iterator[str]:
    """The picture that is kept in the file."""
    from lib_trainer.lora.thumbnail import data_url

    if config.thumbnail:
        try:
            data_url(config.thumbnail)
        except UserError as error:
            yield str(error)
