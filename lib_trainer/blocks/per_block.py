"""A number for every block, as the training settings write them: ranks, alphas and learning-rate factors.

Three ways of writing. A list in one of the orders of block weights (12, 17, 20, 26 numbers) or in sd-scripts' (25 for
SD 1.x, 23 for SDXL): it speaks of every block, and one that the order does not name gets 0. Names with numbers,
`IN04-IN07:8, OUT03:16, BASE:4`: what is not named keeps the default. And sd-scripts' three arguments of learning rates,
`down: sine+0.25; mid: 1; up: 1,1,0.5`: a list from the outside inwards (down) and from the inside outwards (up) whose
missing tail is 1, or a curve by name with a base that is added.
"""
from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lib_trainer.blocks.layers import block_of, is_text_encoder
from lib_trainer.blocks.layouts import ARCH_LABELS, ARCH_OF_LENGTH, BASE, SD_SCRIPTS, spread
from lib_trainer.blocks.selection import parse_blocks
from lib_trainer.blocks.spelling import fine_name
from lib_trainer.blocks.values import Unreadable, items_of, looks_like_number, read_number
from lib_trainer.errors import UserError

LENGTHS = (12, 17, 20, 23, 25, 26)

CURVES: dict[str, Callable[[float], float]] = {
    "sine": lambda part: math.sin(math.pi / 2 * part),
    "cosine": lambda part: math.sin(math.pi / 2 * (1.0 - part)),
    "linear": lambda part: part,
    "reverse_linear": lambda part: 1.0 - part,
    "zeros": lambda part: 0.0,
}
"""sd-scripts' curves over the blocks of one way, the part of the way from 0 to 1."""

_SIDES = {"sd15": {"down": 12, "mid": 1, "up": 12}, "sdxl": {"down": 9, "mid": 3, "up": 9}}
_SIDE = re.compile(r"(down|mid|up)\s*[:=]\s*(.*)", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(r"([A-Za-z][\w\s-]*?)\s*[:=]\s*(\S+)")


@dataclass(frozen=True)
class PerBlock:
    """A number for every block.

    Attributes:
        arch: "sd15" or "sdxl".
        default: of every layer that `named` does not speak of.
        named: by block name, or by the finer names of `layouts.FINE`.
    """

    arch: str
    default: float
    named: Mapping[str, float] = field(default_factory=dict)

    def of(self, layer: str) -> float:
        """Returns the number of a layer (kohya layer name)."""
        if is_text_encoder(layer):
            return self.named.get(BASE, self.default)
        for name in (fine_name(layer), block_of(layer, self.arch)):
            if name is not None and name in self.named:
                return self.named[name]
        return self.default


def read(
    text: str, arch: str, default: float, presets: Callable[[str], tuple[str, ...] | None] | None = None
) -> PerBlock:
    """Reads what a person wrote.

    Args:
        text: one of the three ways, or the name of a preset; empty = the default everywhere.
        arch: "sd15" or "sdxl".
        default: of what the text does not speak of.
        presets: name -> the items of a block-weight preset for this architecture, None where there is none.

    Raises:
        UserError: it cannot be read, or is meant for another architecture.
    """
    written = text.strip().rstrip(",;")
    if not written:
        return PerBlock(arch, default)
    if _SIDE.match(written):
        return PerBlock(arch, default, _sides(written, arch))
    items = items_of(written)
    if all(looks_like_number(item) for item in items):
        return PerBlock(arch, default, _list(items, arch, default))
    if found := presets(written) if presets else None:
        return PerBlock(arch, default, _list(found, arch, default))
    return PerBlock(arch, default, _names(written))


def readable(text: str) -> str:
    """Returns why a text can be read for no architecture, "" where it can; names of presets are not known here."""
    if re.fullmatch(r"\s*\w[^,:;=]*", text) and not looks_like_number(text.strip()):
        return ""
    faults = []
    for arch in _SIDES:
        try:
            read(text, arch, 1.0)
        except UserError as error:
            faults.append(str(error))
        else:
            return ""
    return faults[0]


def _list(items: tuple[str, ...], arch: str, default: float) -> dict[str, float]:
    if len(items) not in LENGTHS:
        raise UserError(
            f"A list for blocks has {', '.join(map(str, LENGTHS[:-1]))} or {LENGTHS[-1]} numbers, this one has "
            f"{len(items)}: '{_short(', '.join(items))}'. For single blocks write names: IN04:8, OUT03-OUT06:16."
        )
    if ARCH_OF_LENGTH[len(items)] != arch:
        lengths = [length for length in LENGTHS if ARCH_OF_LENGTH[length] == arch]
        raise UserError(
            f"{len(items)} numbers are for {ARCH_LABELS[ARCH_OF_LENGTH[len(items)]]}; for {ARCH_LABELS[arch]} write "
            f"{', '.join(map(str, lengths[:-1]))} or {lengths[-1]}."
        )
    return spread([_number(item) for item in items], 0.0, default)


def _names(text: str) -> dict[str, float]:
    named: dict[str, float] = {}
    for piece in filter(None, re.split(r"[,;\n]\s*", text)):
        found = _NAMED.fullmatch(piece.strip())
        if found is None:
            raise UserError(
                f"'{_short(piece.strip())}' is no block with a number. Write NAME:NUMBER, such as IN04:8 or "
                f"OUT03-OUT06:16, or a list of {', '.join(map(str, LENGTHS[:-1]))} or {LENGTHS[-1]} numbers."
            )
        number = _number(found[2])
        named.update(dict.fromkeys(parse_blocks(found[1]), number))
    return named


def _sides(text: str, arch: str) -> dict[str, float]:
    """Reads sd-scripts' down_lr_weight, mid_lr_weight and up_lr_weight."""
    values: dict[str, list[float]] = {}
    for piece in filter(None, (part.strip() for part in re.split(r"[;\n]", text))):
        found = _SIDE.fullmatch(piece)
        if found is None:
            raise UserError(f"'{_short(piece)}' does not begin with down:, mid: or up:. Write for instance "
                            "'down: sine+0.25; mid: 1; up: 1,1,0.5'.")
        side = found[1].lower()
        values[side] = _side(side, found[2], _SIDES[arch][side])
    ordered = [number for side, count in _SIDES[arch].items() for number in values.get(side, [1.0] * count)]
    length = 25 if arch == "sd15" else 23
    names = SD_SCRIPTS[length] if arch == "sd15" else SD_SCRIPTS[length][1:-1]
    return dict(zip(names, ordered, strict=True))


def _side(side: str, text: str, count: int) -> list[float]:
    """Returns the numbers of one side: a curve, or a list whose missing tail is 1.

    One number is meant for all of a way (sd-scripts takes it for the name of a curve and fails); in the middle, where
    sd-scripts reads it as the first of three, so does this.
    """
    name, plus, base = text.strip().partition("+")
    if name.strip().lower() in CURVES:
        curve, added = CURVES[name.strip().lower()], _number(base) if plus else 0.0
        return [curve(place / max(count - 1, 1)) + added for place in range(count)]
    items = text.split(",")
    if len(items) == 1 and not looks_like_number(text.strip()):
        raise UserError(f"'{_short(text.strip())}' for '{side}' is neither numbers nor one of {', '.join(CURVES)} "
                        "(with a base: sine+0.25).")
    numbers = [_number(item) if item.strip() else 0.0 for item in items]
    if len(numbers) > count:
        raise UserError(f"'{side}' has {count} blocks here, but {len(numbers)} numbers are given: '{_short(text)}'.")
    if len(numbers) == 1 and side != "mid":
        return numbers * count
    return numbers + [1.0] * (count - len(numbers))


def _number(text: str) -> float:
    try:
        return read_number(text.strip())
    except Unreadable as fault:
        raise UserError(f"{str(fault)[0].upper()}{str(fault)[1:]}.") from None


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."
