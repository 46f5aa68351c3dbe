"""Axes for the WebUIs' X/Y/Z plot: block weights, elemental rules, strength and file of one LoRA of the prompt.

An axis changes the tag in the prompt of its cell (see `axis_tags`), so every cell's parameters say by themselves how
the cell was drawn. Two axes together, blocks and their value, make a matrix. The axis of files takes patterns, too:
`zko*` stands for all epochs of a training, the finished file last.
"""
from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from lib_trainer.blocks.elements import Elements, find_rules
from lib_trainer.blocks.layouts import BLOCKS_26
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import Tag, split
from lib_trainer.blocks.values import Unreadable, is_variable, items_of, read_number, shortened
from lib_trainer.blocks.writing import Parts
from lib_trainer.errors import UserError
from lib_trainer.hosts.webui import axis_tags, lora_files
from lib_trainer.hosts.webui.axis_tags import (
    PLAIN,
    Change,
    Cut,
    find,
    first_prompt,
    parted,
    parted_blocks,
    parted_rules,
)

PRESET, BLOCK_VALUE = "[LoRA] block preset", "[LoRA] block value (OUT03=0.5)"
BLOCKS, VALUE = "[LoRA] blocks (with the axis value)", "[LoRA] value (of the axis blocks)"
RULES = "[LoRA] elemental rule"
STRENGTH, FILE = "[LoRA] strength", "[LoRA] file (epochs of one training)"


def add_axes(presets: Callable[[], Presets], elements: Callable[[], Elements], *, weighs: bool = True) -> None:
    """Appends our axes to those of the host's X/Y/Z plot; does nothing when they are there or the plot is not.

    Args:
        presets, elements: what names stand for when a value is looked at.
        weighs: whether block weights are ours; if not, there are no axes for them.
    """
    module = _plot()
    if module is None or any(option.label == FILE for option in module.axis_options):
        return
    module.axis_options += [*(_weights(module, presets, elements) if weighs else ()), *_of_any_lora(module)]


def _weights(module: Any, presets: Callable[[], Presets], elements: Callable[[], Elements]) -> list[Any]:
    """Returns the axes of block weights and elemental rules."""
    tags = axis_tags
    return [
        module.AxisOption(PRESET, str, _applied(tags.with_preset), confirm=_confirming(_check_preset(presets)),
                          choices=lambda: [PLAIN, *presets().names]),
        module.AxisOption(BLOCK_VALUE, str, _applied(tags.with_block_value, parted_blocks),
                          confirm=_confirming(_check_block_value, parted_blocks)),
        module.AxisOption(BLOCKS, str, _applied(tags.with_blocks), confirm=_confirming(_check_blocks),
                          choices=lambda: list(BLOCKS_26)),
        module.AxisOption(VALUE, str, _applied(tags.with_value), confirm=_confirming(_check_value)),
        module.AxisOption(RULES, str, _applied(tags.with_rules, parted_rules),
                          confirm=_confirming(_check_rules(elements), parted_rules),
                          choices=lambda: [PLAIN, *elements().names]),
    ]


def _of_any_lora(module: Any) -> list[Any]:
    """Returns the axes that need no block weights."""
    return [
        module.AxisOption(STRENGTH, str, _applied(Parts.with_strength), confirm=_confirming(_check_strength)),
        module.AxisOption(FILE, str, _applied(Parts.with_name), confirm=_confirming(_check_file), choices=epochs,
                          prepare=files, cost=0.3),
    ]


def _plot() -> Any:
    """Returns the module of the host's X/Y/Z plot script."""
    from modules import scripts

    found = (data.module for data in scripts.scripts_data if data.path.replace("\\", "/").endswith("/xyz_grid.py"))
    return next((module for module in found if hasattr(module, "axis_options")), None)


def _applied(change: Change, cut: Cut = parted) -> Callable[[Any, str, Sequence[str]], None]:
    """Returns what the plot calls for every cell."""
    return lambda p, value, values: axis_tags.apply(p, value, change, cut)


def _confirming(check: Callable[[Tag, str], None], cut: Cut = parted) -> Callable[[Any, Sequence[str]], None]:
    """Returns what the plot calls before it draws: looks at every value, with the tag that it acts on."""
    def confirm(p: Any, values: Sequence[str]) -> None:
        for value in values:
            name, text = cut(value)
            check(find(first_prompt(p), name), text)

    return confirm


def _check_preset(presets: Callable[[], Presets]) -> Callable[[Tag, str], None]:
    def check(tag: Tag, text: str) -> None:
        for arch in ("sd15", "sdxl") if text != PLAIN else ():
            errors = resolve(split(f"<lora:{tag.name}:lbw={text}>")[1][0], presets(), arch).errors
            if errors:
                raise UserError(errors[0].removesuffix(f" LoRA '{tag.name}' acts with plain strength."))

    return check


def _check_rules(elements: Callable[[], Elements]) -> Callable[[Tag, str], None]:
    def check(tag: Tag, text: str) -> None:
        if text != PLAIN:
            find_rules(text, elements())

    return check


def _check_block_value(tag: Tag, text: str) -> None:
    blocks, equals, number = text.rpartition("=")
    if not equals:
        raise UserError(f"'{shortened(text)}' on the axis '{BLOCK_VALUE}' has no value: write blocks=number, such as "
                        "OUT03=0.5.")
    axis_tags.written_blocks(blocks)
    _read(number, BLOCK_VALUE)


def _check_blocks(tag: Tag, text: str) -> None:
    axis_tags.written_blocks(text)
    weights = Parts.of(tag).weights
    if weights is not None and any(is_variable(item) for item in items_of(weights)):
        raise UserError(f"The axis '{BLOCKS}' needs X for its blocks, but the block weights of {tag.text} use X: write "
                        "a number there.")


def _check_value(tag: Tag, text: str) -> None:
    _read(text, VALUE)


def _check_strength(tag: Tag, text: str) -> None:
    _read(text, STRENGTH)


def _read(text: str, axis: str) -> None:
    try:
        read_number(text)
    except Unreadable as fault:
        raise UserError(f"A value of the axis '{axis}' cannot be read: {fault}.") from None


def _check_file(tag: Tag, text: str) -> None:
    if lora_files.unknown([text]):
        near = difflib.get_close_matches(text, lora_files.names(), 1)
        raise UserError(f"There is no LoRA '{text}'" + (f": did you mean '{near[0]}'?" if near else "."))


def epochs() -> list[str]:
    """Returns the names of all LoRA files, those of one training together and its finished file last."""
    names = lora_files.names()

    def key(name: str) -> tuple[str, bool, str]:
        stem, _, number = name.rpartition("-")
        is_epoch = bool(stem) and number.removeprefix("step").isdigit()
        return (stem.lower() if is_epoch else name.lower(), not is_epoch, name.lower())

    return sorted(names, key=key)


def files(text: str) -> list[str]:
    """Reads the values of the file axis; patterns stand for all names that fit."""
    values = [value.strip() for row in csv.reader([text], skipinitialspace=True) for value in row]
    found: list[str] = []
    for value in values:
        name, pattern = parted(value)
        fitting = [one for one in epochs() if fnmatchcase(one.lower(), pattern.lower())]
        prefix = f"{name}=" if name else ""
        found += [prefix + one for one in fitting] if "*" in pattern and fitting else [value]
    return found
