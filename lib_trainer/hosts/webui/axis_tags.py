"""How an axis of the WebUIs' X/Y/Z plot changes the LoRA tags of a cell's prompt.

A value acts on the prompt's first LoRA, or on the one that it names: `NCNF` or `m4_carbine=NCNF`. Axes may be combined
in any order: one that changes blocks adds them behind the block weights that stand there, one that changes the preset
leaves named blocks where they are, and one that changes the value of blocks sets what X stands for.
"""
from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lib_trainer.blocks.layouts import BLOCKS_26, in_words
from lib_trainer.blocks.tags import Tag, rewritten, split
from lib_trainer.blocks.values import items_of
from lib_trainer.blocks.writing import Parts
from lib_trainer.compare.axes import chosen_blocks
from lib_trainer.errors import UserError

PLAIN = "(plain)"
"""The value that stands for no block weights, or no elemental rules, at all."""

Cut = Callable[[str], tuple[str, str]]
Change = Callable[[Parts, str], Parts]


def parted(value: str) -> tuple[str, str]:
    """Cuts `name=value` into the name of the LoRA, empty when there is none, and the value."""
    name, equals, rest = (part.strip() for part in value.partition("="))
    return (name, rest) if equals else ("", name)


def parted_blocks(value: str) -> tuple[str, str]:
    """Cuts `name=blocks=value` into the name of the LoRA, empty when there is none, and `blocks=value`."""
    before, equals, number = (part.strip() for part in value.rpartition("="))
    name, blocks = parted(before)
    return (name, f"{blocks}={number}") if equals else ("", number)


def parted_rules(value: str) -> tuple[str, str]:
    """Cuts `name=rules` as `parted`; a rule may have an equals sign of its own: `/=proj@0`."""
    name, rest = parted(value)
    return ("", value.strip()) if "/" in name or "@" in name else (name, rest)


def find(prompt: str, name: str) -> Tag:
    """Returns the prompt's tag of a LoRA, or of its first one.

    Raises:
        UserError: the prompt has no such tag.
    """
    loras = [tag for tag in split(prompt)[1] if tag.is_lora and tag.name]
    found = next((tag for tag in loras if name in ("", tag.name)), None)
    if found is not None:
        return found
    if not loras:
        raise UserError("The prompt has no LoRA for this axis: write a tag such as <lora:name:1> into it.")
    near = difflib.get_close_matches(name, [tag.name for tag in loras], 1) or [loras[0].name]
    raise UserError(f"The prompt has no LoRA '{name}' for this axis: did you mean '{near[0]}'?")


def first_prompt(p: Any) -> str:
    """Returns the prompt of a generation, the first of several."""
    prompt: str = p.prompt[0] if isinstance(p.prompt, list) else p.prompt
    return prompt


def apply(p: Any, value: str, change: Change, cut: Cut = parted) -> None:
    """Changes the prompt, and the hires prompt where it is one of its own and has the tag.

    Args:
        p: the generation of a cell.
        value: the value of the axis, with or without the name of a LoRA.
        change: makes the new tag from the old one and the value.
        cut: cuts the value into name and rest.
    """
    name, rest = cut(value)
    if isinstance(p.prompt, list):
        p.prompt = [_changed(one, name, rest, change) for one in p.prompt]
    else:
        p.prompt = _changed(p.prompt, name, rest, change)
    hires = getattr(p, "hr_prompt", "")
    if isinstance(hires, str) and any(tag.is_lora and name in ("", tag.name) for tag in split(hires)[1]):
        p.hr_prompt = _changed(hires, name, rest, change)


def _changed(prompt: str, name: str, value: str, change: Change) -> str:
    """Returns the prompt with one tag changed."""
    tag = find(prompt, name)
    done = False

    def write(one: Tag) -> str:
        nonlocal done
        if done or one.text != tag.text:
            return one.text
        done = True
        return str(change(Parts.of(one), value))

    return rewritten(prompt, write)


def with_preset(parts: Parts, text: str) -> Parts:
    """The tag with other block weights; blocks named behind them stay."""
    _, named = _of_base_and_blocks(parts)
    return _with_weights(parts, [] if text == PLAIN else [text], named)


def with_blocks(parts: Parts, text: str) -> Parts:
    """The tag with blocks whose value is X, the last of all."""
    base, named = _of_base_and_blocks(parts)
    return _with_weights(parts, base, [*named, f"{written_blocks(text)}@X"])


def with_value(parts: Parts, text: str) -> Parts:
    """The tag with another value of X."""
    return replace(parts, x=text)


def with_block_value(parts: Parts, text: str) -> Parts:
    """The tag with other values at some blocks (`blocks=value`), the last of all."""
    blocks, _, number = text.rpartition("=")
    base, named = _of_base_and_blocks(parts)
    return _with_weights(parts, base, [*named, f"{written_blocks(blocks)}@{number}"])


def with_rules(parts: Parts, text: str) -> Parts:
    """The tag with other elemental rules."""
    if text != PLAIN:
        return parts.with_rules(text)
    return replace(parts, others={key: value for key, value in parts.others.items() if key != "lbwe"})


def written_blocks(text: str) -> str:
    """Writes a choice of blocks (`IN01-IN02 MID`, `NOT OUT03`) as a tag takes it.

    Raises:
        UserError: an unknown block.
    """
    return in_words(chosen_blocks(text, BLOCKS_26)).replace(",", "")


def _of_base_and_blocks(parts: Parts) -> tuple[list[str], list[str]]:
    """Cuts block weights into the preset or list, and the blocks named behind it."""
    items = [] if parts.weights is None else list(items_of(parts.weights))
    first = next((place for place, item in enumerate(items) if "@" in item), len(items))
    return items[:first], items[first:]


def _with_weights(parts: Parts, base: list[str], named: list[str]) -> Parts:
    return replace(parts, weights=",".join([*base, *named]) or None)
