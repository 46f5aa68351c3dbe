"""How a form's values are read, by their kind: texts of the command line and JSON of a page alike."""
from __future__ import annotations

from collections.abc import Callable

from lib_trainer.errors import Problems, UserError
from lib_trainer.workbench.forms import sources
from lib_trainer.workbench.forms.asked import Asked, number_of
from lib_trainer.workbench.forms.places import Places

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


Reader = Callable[[object, Asked, Places], object]


def within(value: float, label: str, least: float | None, most: float | None) -> None:
    """Checks a number's limits.

    Raises:
        UserError: it is beyond one.
    """
    if (least is not None and value < least) or (most is not None and value > most):
        limits = [f"at least {least:g}" if least is not None else "", f"at most {most:g}" if most is not None else ""]
        raise UserError(f"{label} = {value:g}: it must be {' and '.join(filter(None, limits))}.")


def _text(value: object, asked: Asked, places: Places) -> str:
    if not isinstance(value, str):
        raise UserError(f"{asked.label} = {value!r} must be a text.")
    return value


def _number(value: object, asked: Asked, places: Places) -> float:
    return number_of(value, asked.label)


def _whole(value: object, asked: Asked, places: Places) -> int:
    number = _number(value, asked, places)
    if number != int(number):
        raise UserError(f"{asked.label} = {value!r} must be a whole number.")
    return int(number)


def _flag(value: object, asked: Asked, places: Places) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in (*_YES, *_NO):
        return str(value).lower() in _YES
    raise UserError(f"{asked.label} = {value!r} must be true or false.")


def _choice(value: object, asked: Asked, places: Places) -> str:
    if str(value) not in asked.choices:
        raise UserError(f"{asked.label} = {value!r}: choose one of {', '.join(asked.choices)}.")
    return str(value)


def _lines(value: object, asked: Asked, places: Places) -> list[str]:
    """Lines of a text, or a list of texts, empty ones left out."""
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise UserError(f"{asked.label} = {value!r} must be a text or a list of texts.")
    return [line.strip() for line in lines if line.strip()]


def _of_text(find: Callable[[Places], Callable[[str], object]]) -> Reader:
    """Returns a reader that hands the text to one of the places' methods."""
    def read(value: object, asked: Asked, places: Places) -> object:
        text = str(value) if not isinstance(value, dict | list) else _text(value, asked, places)
        try:
            return find(places)(text)
        except Problems:
            raise
        except UserError as error:
            raise UserError(f"{asked.label}: {error}") from None

    return read


KINDS: dict[str, Reader] = {
    "text": _text, "number": _number, "whole": _whole, "flag": _flag, "choice": _choice, "lines": _lines,
    "lora": _of_text(lambda places: places.lora),
    "checkpoint": _of_text(lambda places: places.checkpoint),
    "lora_or_folder": _of_text(lambda places: places.lora_or_folder),
    "new_lora": _of_text(lambda places: places.new_lora),
    "new_checkpoint": _of_text(lambda places: places.new_checkpoint),
    "sources": sources.read,
}
"""What a value may be. "sources" are LoRAs with strengths; a "lora" or "checkpoint" becomes the file that is there, a
"new_..." the file to be written."""
