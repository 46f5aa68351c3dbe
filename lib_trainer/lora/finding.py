"""Which file a person means by the name of a LoRA, and which names a new one may have."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import TRAINING_NAME, Host

SUFFIX = ".safetensors"
FORBIDDEN = '<>:"/\\|?*'
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_LONGEST_NAME = 200
"""Bytes of a name in UTF-8: file systems allow 255, and `-step00000100.safetensors` is added."""


def find_lora(text: str, host: Host) -> Path | None:
    """Returns the LoRA file of a path, or of a name in the host's folder and its sub-folders; None if there is none.

    Raises:
        UserError: the name fits files of several sub-folders, and none at the top.
    """
    for path in (Path(text), host.paths.loras / text, host.paths.loras / f"{text}{SUFFIX}"):
        if path.is_file():
            return path
    wanted = f"{Path(text).name.removesuffix(SUFFIX)}{SUFFIX}"
    found = sorted(path for path in host.paths.loras.rglob("*" + SUFFIX) if path.name == wanted)
    if len(found) > 1:
        paths = ", ".join(f"'{path.relative_to(host.paths.loras)}'" for path in found)
        raise UserError(f"There are {len(found)} LoRAs of the name '{text}' in '{host.paths.loras}': {paths}. Write "
                        "the one that is meant with its folder, or rename the others.")
    return found[0] if found else None


def name_faults(name: str, where: str) -> Iterator[str]:
    """Yields why a text cannot be the name of a LoRA file.

    Args:
        name: without its ending.
        where: what the sentences begin with.
    """
    wrong = sorted({sign for sign in name if sign in FORBIDDEN})
    if wrong:
        yield f"{where} becomes a file name and must not contain {' '.join(wrong)}; use letters, digits, - and _."
    if any(ord(sign) < ord(" ") for sign in name):
        yield f"{where} holds a line break or another sign that nobody sees; take it out."
    if name.endswith("."):
        yield f"{where} must not end with a dot (Windows drops it); take the dot off."
    if name.split(".")[0].strip().lower() in _RESERVED:
        yield f"{where} is reserved by Windows; choose another one."
    if name.lower().endswith(SUFFIX):
        yield f"{where} is written without its ending; take .safetensors off."
    if name == TRAINING_NAME:
        yield f"{where} stands for the LoRA in training; choose another one."
    if len(name.encode("utf8")) > _LONGEST_NAME:
        yield f"{where} is too long for a file name; use at most {_LONGEST_NAME} letters."
