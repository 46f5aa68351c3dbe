"""Concepts as a person writes them: one a line.

`hat` is erased (or enhanced, as the settings say), `open eyes -> closed eyes` becomes the other, and `sad <-> happy` is
a slider with both ends. Options stand behind, in any order: `1girl --positive 1girl, cat ears --action enhance`. What
the words come to is one formula, ε(neutral) + guidance · (ε(positive) - ε(unconditional)); see `data.concepts`.
"""
from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lib_trainer.data.concepts import Concept
from lib_trainer.errors import UserError
from lib_trainer.training.rules.data import parse_resolution

ERASE, ENHANCE = "erase", "enhance"
ACTIONS = (ERASE, ENHANCE)

_OPTION = re.compile(r"(?:^|\s)--([A-Za-z_]+)(?=\s|$)")
_ARROW = re.compile(r"(?:^|\s)(<->|->)(?=\s|$)")
_MOST = 1000.0
"""Greatest guidance, weight and strength: far above any use."""


@dataclass(frozen=True)
class Row:
    """What one line (or one entry of a file) asks for.

    Attributes:
        concepts: one, or the two ends of a slider.
        weight: its loss times this.
        size: width and height in pixels; None = the run's. batch_size: noises at once; 0 = the run's.
    """

    concepts: tuple[Concept, ...]
    weight: float = 1.0
    size: tuple[int, int] | None = None
    batch_size: int = 0


@dataclass(frozen=True)
class Defaults:
    """What a line leaves open.

    Attributes:
        action: "erase" or "enhance". guidance: as in `Concept`, above 0.
        to_nothing: whether "erase" means that the target becomes the empty prompt (iLECO) instead of its opposite.
    """

    action: str = ERASE
    guidance: float = 1.0
    to_nothing: bool = False


def lines(text: str) -> list[str]:
    """Returns the lines that say something: not empty, no note (#)."""
    found = (line.strip() for line in text.splitlines())
    return [line for line in found if line and not line.startswith("#")]


def row(line: str, defaults: Defaults) -> Row:
    """Reads a line.

    Raises:
        UserError: it says two things, or an option cannot be read.
    """
    head, *rest = _OPTION.split(line)
    values: dict[str, Any] = {}
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        key = name.lower()
        if key not in _READERS:
            raise UserError(f"'--{name}' in '{cut(line)}' is no option of a concept: there are "
                            f"{', '.join('--' + known for known in _READERS)}.")
        if key in values:
            raise UserError(f"'--{name}' is given twice in '{cut(line)}': leave one of them out.")
        values[key] = _READERS[key](key, value.strip())
    first, *arrows = _ARROW.split(head)
    if len(arrows) > 2:
        raise UserError(f"'{cut(line)}' has two arrows: write one change a line.")
    arrow, second = (arrows[0], arrows[1].strip()) if arrows else ("", "")
    made = _with_arrow(line, arrow, first.strip(), second, values, defaults) if arrow else (
        _plain(line, first.strip(), values, defaults))
    concepts = tuple(replace(one, label=line, strength=one.strength * values.get("strength", 1.0)) for one in made)
    return Row(concepts, values.get("weight", 1.0), values.get("size"), values.get("batch", 0))


def _plain(line: str, target: str, values: Mapping[str, Any], defaults: Defaults) -> list[Concept]:
    """Erased or enhanced: the negative guidance of Gandikota et al. 2023 (2303.07345), eq. 7, or its opposite."""
    if "around" in values:
        raise UserError(f"'--around' in '{cut(line)}' is for sliders (a <-> b): leave it out.")
    action, given = values.get("action", defaults.action), values.keys() & {"positive", "unconditional", "neutral"}
    if not target:
        raise UserError(f"'{cut(line)}' names no concept: write the prompt first, then the options.")
    if defaults.to_nothing and action == ERASE and not given:
        return [_becomes(target, "", values.get("guidance", defaults.guidance))]
    unconditional = values.get("unconditional", "")
    sign = -1.0 if action == ERASE else 1.0
    return [Concept(target, values.get("neutral", unconditional), values.get("positive", target), unconditional,
                    sign * values.get("guidance", defaults.guidance))]


def _with_arrow(
    line: str, arrow: str, first: str, second: str, values: Mapping[str, Any], defaults: Defaults
) -> list[Concept]:
    """A change from one prompt to another, or the two ends of a slider."""
    foreign = [name for name in ("positive", "unconditional", "neutral", "action") if name in values]
    if foreign:
        raise UserError(f"'--{foreign[0]}' in '{cut(line)}': with an arrow both sides are given already; leave it out.")
    guidance = values.get("guidance", defaults.guidance)
    if arrow == "->":
        if "around" in values:
            raise UserError(f"'--around' in '{cut(line)}' is for sliders (a <-> b): leave it out.")
        if not first:
            raise UserError(f"'{cut(line)}' says what something becomes, but not what: write it before the arrow.")
        return [_becomes(first, second, guidance)]
    return slider(values.get("around", ""), second, first, guidance)


def _becomes(target: str, other: str, guidance: float) -> Concept:
    """ε(target) + η · (ε(other) - ε(target)): at η = 1 what the model says of the other prompt."""
    return Concept(target, target, other, target, guidance)


def slider(around: str, positive: str, negative: str, guidance: float, neutral: str | None = None) -> list[Concept]:
    """Returns both ends: Gandikota et al. 2023, "Concept Sliders" (2311.12092), eq. 7, and its mirror at strength -1.

    Args:
        around: the prompt under which the slider acts.
        positive, negative: whose difference it slides along.
        guidance: η. neutral: what the change starts from, None = `around`.
    """
    start = around if neutral is None else neutral
    end = Concept(around, start, positive, negative, guidance)
    return [end, replace(end, guidance=-guidance, strength=-1.0)]


def in_context(one: Concept, words: str) -> Concept:
    """Returns the concept with words before all its prompts, as the attributes to be kept of Concept Sliders, eq. 8."""

    def joined(prompt: str) -> str:
        return ", ".join(filter(None, (words, prompt)))

    return replace(one, target=joined(one.target), neutral=joined(one.neutral), positive=joined(one.positive),
                   unconditional=joined(one.unconditional), label=f"{words}: {one.label}" if words else one.label)


def number(key: str, value: object, least: float = -_MOST, whole: bool = False) -> float:
    """Reads a number of an option or of a file.

    Raises:
        UserError: it is none, or out of range.
    """
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = math.nan
    if isinstance(value, bool) or not least <= found <= _MOST or (whole and found != int(found)):
        raise UserError(f"{key} = {cut(str(value))!r}: a concept's {key} is a {'whole ' if whole else ''}number from "
                        f"{least:g} to {_MOST:g}.")
    return found


def action(key: str, value: object) -> str:
    """Reads "erase" or "enhance".

    Raises:
        UserError: it is neither.
    """
    if value not in ACTIONS:
        raise UserError(f"{key} = {cut(str(value))!r}: a concept's action is erase or enhance.")
    return str(value)


def strength(key: str, value: object) -> float:
    """Reads the LoRA's strength.

    Raises:
        UserError: it is no number, or 0, at which nothing is learned.
    """
    found = number(key, value)
    if found == 0.0:
        raise UserError(f"{key} = 0: at strength 0 a LoRA does nothing, so nothing would be learned; 1 is usual.")
    return found


def _size(key: str, value: object) -> tuple[int, int]:
    try:
        found = parse_resolution(str(value))
    except UserError as error:
        raise UserError(f"--{key}: {error}") from None
    if found is None:
        raise UserError(f"--{key} is empty: write a size such as 512 or 512,768, or leave it out.")
    return found


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "positive": lambda key, value: value, "unconditional": lambda key, value: value,
    "neutral": lambda key, value: value, "around": lambda key, value: value, "action": action,
    "guidance": lambda key, value: number(key, value, 0.0),
    "weight": lambda key, value: number(key, value, 0.0), "strength": strength, "size": _size,
    "batch": lambda key, value: int(number(key, value, 1.0, whole=True)),
}
"""Options of a line, and how their values are read."""


def cut(text: str, most: int = 60) -> str:
    """Returns a text short enough for a sentence."""
    return text if len(text) <= most else f"{text[:most]}..."


def empty_of(rows: Sequence[Row]) -> list[str]:
    """Returns the lines from which nothing can be learned, since both sides are the same."""
    return list(dict.fromkeys(one.label for row in rows for one in row.concepts if one.teaches_nothing))
