"""Axes for the WebUIs' X/Y/Z plot: block weights, strength and file of one LoRA of the prompt.

A value acts on the prompt's first LoRA, or on the one that it names: `NCNF` or `m4_carbine=NCNF`. An axis changes the
tag in the prompt of its cell, so every cell's parameters say by themselves how the cell was drawn. The third axis takes
patterns, too: `zko*` stands for all epochs of a training, the finished file last.
"""
from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import Tag, rewritten, split
from lib_trainer.blocks.values import Unreadable, read_number
from lib_trainer.blocks.writing import Parts
from lib_trainer.errors import UserError
from lib_trainer.hosts.webui import lora_files

PRESET, STRENGTH, FILE = "[LoRA] block preset", "[LoRA] strength", "[LoRA] file (epochs of one training)"
PLAIN = "(plain)"
"""The value of the first axis that stands for no block weights at all."""


def add_axes(presets: Callable[[], Presets]) -> None:
    """Appends our axes to those of the host's X/Y/Z plot; does nothing when they are there or the plot is not."""
    module = _plot()
    if module is None or any(option.label == PRESET for option in module.axis_options):
        return

    def choices() -> list[str]:
        return [PLAIN, *presets().names]

    def confirm(p: Any, values: Sequence[str]) -> None:
        _confirm_presets(p, values, presets())

    module.axis_options += [
        module.AxisOption(PRESET, str, _apply_preset, confirm=confirm, choices=choices),
        module.AxisOption(STRENGTH, str, _apply_strength, confirm=_confirm_strengths),
        module.AxisOption(FILE, str, _apply_file, confirm=_confirm_files, choices=epochs, prepare=files, cost=0.3),
    ]


def _plot() -> Any:
    """Returns the module of the host's X/Y/Z plot script."""
    from modules import scripts

    found = (data.module for data in scripts.scripts_data if data.path.replace("\\", "/").endswith("/xyz_grid.py"))
    return next((module for module in found if hasattr(module, "axis_options")), None)


def parted(value: str) -> tuple[str, str]:
    """Cuts `name=value` into the name of the LoRA, empty when there is none, and the value."""
    name, equals, rest = (part.strip() for part in value.partition("="))
    return (name, rest) if equals else ("", name)


def changed(prompt: str, value: str, change: Callable[[Parts, str], Parts]) -> str:
    """Returns a prompt with one tag changed.

    Args:
        prompt: a prompt with LoRA tags.
        value: the axis value, with or without the name of a LoRA.
        change: makes the new tag from the old one and the value.

    Raises:
        UserError: the prompt has no such tag.
    """
    name, rest = parted(value)
    tag = _find(prompt, name)
    done = False

    def write(one: Tag) -> str:
        nonlocal done
        if done or one.text != tag.text:
            return one.text
        done = True
        return str(change(Parts.of(one), rest))

    return rewritten(prompt, write)


def _find(prompt: str, name: str) -> Tag:
    loras = [tag for tag in split(prompt)[1] if tag.is_lora and tag.name]
    found = next((tag for tag in loras if name in ("", tag.name)), None)
    if found is not None:
        return found
    if not loras:
        raise UserError("The prompt has no LoRA for this axis: write a tag such as <lora:name:1> into it.")
    near = difflib.get_close_matches(name, [tag.name for tag in loras], 1) or [loras[0].name]
    raise UserError(f"The prompt has no LoRA '{name}' for this axis: did you mean '{near[0]}'?")


def _apply(p: Any, value: str, change: Callable[[Parts, str], Parts]) -> None:
    """Changes the prompt, and the hires prompt where it is one of its own."""
    if isinstance(p.prompt, list):
        p.prompt = [changed(one, value, change) for one in p.prompt]
    else:
        p.prompt = changed(p.prompt, value, change)
    hires = getattr(p, "hr_prompt", "")
    if isinstance(hires, str) and any(tag.is_lora for tag in split(hires)[1]):
        p.hr_prompt = changed(hires, value, change)


def _apply_preset(p: Any, value: str, values: Sequence[str]) -> None:
    _apply(p, value, lambda parts, text: parts.with_weights(None if text == PLAIN else text))


def _apply_strength(p: Any, value: str, values: Sequence[str]) -> None:
    _apply(p, value, Parts.with_strength)


def _apply_file(p: Any, value: str, values: Sequence[str]) -> None:
    _apply(p, value, Parts.with_name)


def _prompt(p: Any) -> str:
    return p.prompt[0] if isinstance(p.prompt, list) else p.prompt


def _confirm_presets(p: Any, values: Sequence[str], presets: Presets) -> None:
    for value in values:
        name, text = parted(value)
        tag = _find(_prompt(p), name)
        if text == PLAIN:
            continue
        for arch in ("sd15", "sdxl"):
            errors = resolve(split(f"<lora:{tag.name}:lbw={text}>")[1][0], presets, arch).errors
            if errors:
                raise UserError(errors[0].removesuffix(f" LoRA '{tag.name}' acts with plain strength."))


def _confirm_strengths(p: Any, values: Sequence[str]) -> None:
    for value in values:
        name, text = parted(value)
        _find(_prompt(p), name)
        try:
            read_number(text)
        except Unreadable as fault:
            raise UserError(f"A strength of the axis '{STRENGTH}' cannot be read: {fault}.") from None


def _confirm_files(p: Any, values: Sequence[str]) -> None:
    for value in values:
        name, text = parted(value)
        _find(_prompt(p), name)
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
