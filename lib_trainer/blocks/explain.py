"""What the tags of a prompt do to every layer: the answer of `python -m lib_trainer blocks explain`.

The same functions serve the generation; here their result is laid open, so that other tools, and people who wonder what
a preset does, can read the exact numbers.
"""
from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TypedDict

from lib_trainer.blocks.elements import NO_ELEMENTS, Elements
from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve_all
from lib_trainer.blocks.tags import Tag, split
from lib_trainer.errors import UserError


class Explanation(TypedDict):
    """The answer: multipliers by LoRA name and layer name, and what is to be told."""

    loras: dict[str, dict[str, float]]
    warnings: list[str]
    errors: list[str]


def explain(
    prompt: str, arch: str, layers_by_lora: Mapping[str, Sequence[str]], presets: Presets,
    elements: Elements = NO_ELEMENTS, seed: int = 0,
) -> Explanation:
    """Works out the multiplier of every layer of every LoRA that a prompt names.

    Tags that name one LoRA several times add up, as they would if the LoRA were two files.

    Args:
        prompt: the prompt with its tags.
        arch: "sd15" or "sdxl".
        layers_by_lora: kohya layer names of each LoRA, by the name that tags use.
        presets: where preset names are looked up.
        elements: where the IDs of elemental rules are looked up.
        seed: the picture's seed, from which random weights are drawn.

    Raises:
        UserError: an unknown architecture.
    """
    if arch not in ARCH_BLOCKS:
        raise UserError(f"Unknown architecture '{arch}': use one of {', '.join(ARCH_BLOCKS)}.")
    answer = Explanation(loras={}, warnings=[], errors=[])
    tags = split(prompt)[1]
    for tag, weights in zip(tags, resolve_all(tags, presets, arch, elements, seed), strict=True):
        answer["warnings"] += weights.warnings
        answer["errors"] += weights.errors
        if not tag.is_lora or not tag.name:
            continue
        if tag.name in layers_by_lora:
            _add(answer["loras"], tag.name, multipliers(weights, layers_by_lora[tag.name], arch))
        else:
            answer["errors"].append(_not_given(tag, layers_by_lora))
    answer["warnings"] += _warnings_about_names(tags, layers_by_lora)
    return answer


def _add(loras: dict[str, dict[str, float]], name: str, more: dict[str, float]) -> None:
    known = loras.setdefault(name, dict.fromkeys(more, 0.0))
    for layer, multiplier in more.items():
        known[layer] += multiplier


def _not_given(tag: Tag, layers_by_lora: Mapping[str, Sequence[str]]) -> str:
    near = difflib.get_close_matches(tag.name, layers_by_lora, 1, cutoff=0.5)
    advice = f"did you mean '{near[0]}'?" if near else "give its layers (--lora or --keys)."
    return f"The layers of LoRA '{tag.name}' in {tag.text} are unknown: {advice}"


def _warnings_about_names(tags: Sequence[Tag], layers_by_lora: Mapping[str, Sequence[str]]) -> list[str]:
    named = [tag.name for tag in tags if tag.is_lora]
    counts = {name: named.count(name) for name in dict.fromkeys(named) if name in layers_by_lora}
    repeated = [name for name, count in counts.items() if count > 1]
    idle = [name for name in layers_by_lora if name not in counts]
    return [
        *(f"LoRA '{name}' is named {counts[name]} times: its tags add up." for name in repeated),
        *(f"LoRA '{name}' is not in the prompt." for name in idle),
    ]
