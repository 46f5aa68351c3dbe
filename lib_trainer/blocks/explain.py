"""What the tags of a prompt do to every layer: the answer of `python -m lib_trainer blocks explain`.

The same functions serve the generation; here their result is laid open, so that other tools, and people who wonder what
a preset does, can read the exact numbers.
"""
from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TypedDict

from lib_trainer.blocks.conversion import layout_for
from lib_trainer.blocks.elements import NO_ELEMENTS, Elements
from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve_all
from lib_trainer.blocks.tags import Tag, split
from lib_trainer.blocks.writing import numbers
from lib_trainer.errors import UserError


class TagDetails(TypedDict):
    """What one tag came to.

    Attributes:
        lora: the LoRA's name. tag: as written. label: block weights as written; "" = none.
        te, unet: strengths. blocks: the weight of every block; None = none. fine: see `resolve.Weights`.
        numbers: the block weights as a list that a tag can take, random ones as drawn; "" = none.
        rules: the elemental rules as a tag can take them. start, stop: the steps, stop None = to the end.
        random: whether numbers were drawn from the seed.
        layout: length of the shortest list that names every block of the LoRA; None where its layers are unknown.
    """

    lora: str
    tag: str
    label: str
    te: float
    unet: float
    blocks: dict[str, float] | None
    fine: dict[str, float]
    numbers: str
    rules: list[str]
    start: int
    stop: int | None
    random: bool
    layout: int | None


class Explanation(TypedDict):
    """The answer: multipliers by LoRA name and layer name, what is to be told, and every LoRA tag in numbers."""

    loras: dict[str, dict[str, float]]
    warnings: list[str]
    errors: list[str]
    details: list[TagDetails]


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
    answer = Explanation(loras={}, warnings=[], errors=[], details=[])
    tags = split(prompt)[1]
    for tag, weights in zip(tags, resolve_all(tags, presets, arch, elements, seed), strict=True):
        answer["warnings"] += weights.warnings
        answer["errors"] += weights.errors
        if not tag.is_lora or not tag.name:
            continue
        answer["details"].append(_details(tag, weights, arch, layers_by_lora.get(tag.name)))
        if tag.name in layers_by_lora:
            _add(answer["loras"], tag.name, multipliers(weights, layers_by_lora[tag.name], arch))
        else:
            answer["errors"].append(_not_given(tag, layers_by_lora))
    answer["warnings"] += _warnings_about_names(tags, layers_by_lora)
    return answer


def _details(tag: Tag, weights: Weights, arch: str, layers: Sequence[str] | None) -> TagDetails:
    return TagDetails(
        lora=tag.name, tag=tag.text, label=weights.label, te=weights.te, unet=weights.unet, blocks=weights.ratios,
        fine=weights.fine, numbers=numbers(weights.ratios, arch, weights.fine) if weights.ratios else "",
        rules=[str(rule) for rule in weights.rules], start=weights.window.start, stop=weights.window.stop,
        random=weights.is_random, layout=None if layers is None else layout_for(layers, arch))


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
