"""From a tag to numbers: the strengths of both networks and the weight of every block.

The block weights of a tag are a preset's name, a list of 12, 17, 20 or 26 numbers, or one number for all blocks. A tag
with a mistake still acts, as `<lora:name:strength>` would, and the mistake is told in a sentence: nobody waits for a
picture that is not drawn, and nobody takes a plain LoRA for a weighted one.
"""
from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from lib_trainer.blocks.arguments import Arguments, arrange
from lib_trainer.blocks.elements import NO_ELEMENTS, Elements, Rule, find_rules
from lib_trainer.blocks.layouts import ARCH_BLOCKS, ARCH_LABELS, FLUX_LENGTH, LAYOUTS, LORA_BLOCKS, expand, in_words
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.tags import Tag
from lib_trainer.blocks.values import (
    Unreadable,
    is_schedule,
    is_variable,
    items_of,
    looks_like_item,
    read_items,
    read_number,
    shortened,
)
from lib_trainer.blocks.windows import ALWAYS, Window, read_window
from lib_trainer.errors import UserError


@dataclass(frozen=True)
class Weights:
    """What one tag asks for, in numbers.

    Attributes:
        name: the LoRA's name as in the tag.
        te: strength of the text encoders.
        unet: strength of the U-Net.
        ratios: the weight of every block of the architecture, by name; None = plain strength.
        label: the block weights as people know them: the preset's name or the list as written; "" = plain strength.
        digest: 16 hex digits, equal exactly when all numbers, rules and steps are (plain strength equals 1 for every
            block).
        warnings: sentences: the tag acts, but not all of it or not as somebody may expect.
        errors: sentences: a part of the tag cannot be understood and does not act; each says what acts instead.
        rules: the elemental rules, whose ratio stands in the place of the block's weight; the later wins.
        rules_label: the elemental rules as written in the tag; "" = none.
        window: the steps in which the LoRA acts.
        is_random: whether numbers were drawn (R and U): they depend on the seed.
    """

    name: str
    te: float
    unet: float
    ratios: dict[str, float] | None
    label: str
    digest: str
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    rules: tuple[Rule, ...] = ()
    rules_label: str = ""
    window: Window = ALWAYS
    is_random: bool = False


def resolve(
    tag: Tag, presets: Presets, arch: str, elements: Elements = NO_ELEMENTS, seed: int = 0, place: int = 0
) -> Weights:
    """Reads a tag.

    Args:
        tag: a tag of any kind; one that is no LoRA tag gets strength 0 and an error.
        presets: where preset names are looked up.
        arch: "sd15" or "sdxl", the architecture of the loaded checkpoint.
        elements: where the IDs of elemental rules are looked up.
        seed: the picture's seed, from which random weights are drawn.
        place: how many earlier tags of the prompt name the same LoRA: random weights differ between them.
    """
    if not tag.is_lora:
        error = f"{tag.text} was ignored: only <lora:...> and <lyco:...> are supported."
        return Weights(tag.name, 0.0, 0.0, None, "", _digest(0.0, 0.0, None, arch, (), ALWAYS), [], [error])
    arguments = arrange(tag)
    warnings, errors = arguments.warnings, arguments.errors
    if not tag.name:
        errors.append(f"{tag.text} names no LoRA: write <lora:name:1>.")
    te = _strength("te", arguments.te, 1.0, tag, arguments)
    unet = _strength("unet", arguments.unet, te, tag, arguments)
    ratios = _ratios(arguments, presets, arch, tag)
    if errors:
        ratios = None
        errors[-1] += f" LoRA '{tag.name}' acts with plain strength." if tag.name else ""
    rules = _rules(arguments, elements, tag)
    window = _window(arguments, tag)
    label = "" if ratios is None else arguments.weights or ""
    return Weights(tag.name, te, unet, ratios, label, _digest(te, unet, ratios, arch, rules, window), warnings, errors,
                   rules, arguments.rules or "" if rules else "", window)


def resolve_all(
    tags: Sequence[Tag], presets: Presets, arch: str, elements: Elements = NO_ELEMENTS, seed: int = 0
) -> list[Weights]:
    """Reads all tags of a prompt, in their order; as `resolve`."""
    counts: Counter[str] = Counter()
    resolved = []
    for tag in tags:
        resolved.append(resolve(tag, presets, arch, elements, seed, counts[tag.name]))
        counts[tag.name] += 1
    return resolved


def _strength(keyword: str, text: str | None, default: float, tag: Tag, arguments: Arguments) -> float:
    if text is None:
        return default
    label = {"te": "The strength", "unet": "The U-Net strength"}[keyword]
    if is_schedule(text):
        arguments.warnings.append(f"{label} '{shortened(text)}' in {tag.text} changes over time as in the extension "
                                  "loractl, which is not supported here: 1 was taken; use start= and stop=.")
        return 1.0
    try:
        return read_number(text)
    except Unreadable as fault:
        arguments.errors.append(f"{label} in {tag.text} cannot be read ({fault}): {default:g} was taken.")
        return default


def _rules(arguments: Arguments, elements: Elements, tag: Tag) -> tuple[Rule, ...]:
    """Finds the elemental rules; mistakes in them go to `arguments.errors`."""
    if arguments.rules is None:
        return ()
    try:
        rules, notes = find_rules(arguments.rules, elements)
    except UserError as fault:
        arguments.errors.append(f"{fault} LoRA '{tag.name}' acts without elemental rules.")
        return ()
    arguments.warnings.extend(notes)
    return rules


def _window(arguments: Arguments, tag: Tag) -> Window:
    try:
        window = read_window(arguments.start, arguments.stop, arguments.step)
    except UserError as fault:
        arguments.errors.append(f"{fault} LoRA '{tag.name}' acts in every step.")
        return ALWAYS
    if window.is_empty:
        arguments.warnings.append(f"LoRA '{tag.name}' acts in no step: {tag.text} stops it before it starts.")
    return window


def _ratios(arguments: Arguments, presets: Presets, arch: str, tag: Tag) -> dict[str, float] | None:
    """Finds the block weights; a mistake in them goes to `arguments.errors`."""
    if arguments.weights is None:
        if arguments.x is not None:
            arguments.warnings.append(f"The value of X in {tag.text} has no effect: there are no block weights.")
        return None
    try:
        items, source = _items(arguments.weights, presets, arch)
        numbers = read_items(items, _value_of_x(arguments, items, tag))
    except UserError as fault:
        arguments.errors.append(str(fault))
        return None
    except Unreadable as fault:
        arguments.errors.append(f"Block weights '{shortened(arguments.weights)}' cannot be read: {fault}.")
        return None
    if len(numbers) == 1:
        return dict.fromkeys(ARCH_BLOCKS[arch], numbers[0])
    arguments.warnings.extend(_layout_warnings(len(items), numbers, source, arch))
    weights = expand(numbers, len(numbers))
    return {block: weights[block] for block in ARCH_BLOCKS[arch]}


def _items(text: str, presets: Presets, arch: str) -> tuple[Sequence[str], str]:
    """Finds the list that a tag means.

    Returns:
        its items, and what to call it in a sentence.

    Raises:
        UserError: an unknown preset or a wrong count.
    """
    preset = presets.get(text, arch)
    items = preset.items if preset else items_of(text)
    if preset is None and len(items) == 1 and not looks_like_item(text):
        raise UserError(presets.fault(text) or _unknown_preset(text, presets))
    if len(items) == FLUX_LENGTH:
        raise UserError(f"'{shortened(text)}' has {FLUX_LENGTH} numbers, which is a list for Flux, and Flux is not "
                        "supported: use 12, 17, 20 or 26 numbers.")
    if len(items) not in LAYOUTS and len(items) != 1:
        raise UserError(f"Block weights need 12, 17, 20 or 26 numbers, got {len(items)}: '{shortened(text)}'.")
    return items, f"preset '{preset.name}'" if preset else f"'{shortened(text)}'"


def _unknown_preset(name: str, presets: Presets) -> str:
    if not name:
        return "The block weights after 'lbw=' are missing: write a preset's name or 17 numbers."
    near, names = presets.near(name), presets.names
    if near:
        advice = f"did you mean '{near[0]}'?"
    elif names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        advice = f"known are {', '.join(names[:5])}{more}."
    else:
        advice = "the presets file has none."
    return f"Unknown block-weight preset '{shortened(name)}': {advice}"


def _value_of_x(arguments: Arguments, items: Sequence[str], tag: Tag) -> float:
    if arguments.x is None:
        return 1.0
    if not any(is_variable(item) for item in items):
        arguments.warnings.append(f"The value of X in {tag.text} has no effect: no block weight is X.")
    try:
        return read_number(arguments.x)
    except Unreadable as fault:
        raise UserError(f"The value of X in {tag.text} cannot be read ({fault}).") from None


def _layout_warnings(length: int, numbers: Sequence[float], source: str, arch: str) -> list[str]:
    """Tells where a list made for one architecture means something else on another."""
    label, named = ARCH_LABELS[arch], LAYOUTS[length]
    sentences = []
    off = set(LORA_BLOCKS[arch]) - set(named)
    if off:
        lengths = "12 or 20" if arch == "sdxl" else "17 or 26"
        sentences.append(f"{source} has {length} numbers, which do not name {in_words(off)}: on {label} these blocks "
                         f"are off. Use {lengths} numbers to set them.")
    absent = [block for block in named if block not in ARCH_BLOCKS[arch]]
    if any(number != 0 for block, number in zip(named, numbers, strict=True) if block in absent):
        sentences.append(f"{source} names {in_words(absent)}, which {label} does not have: these numbers have no "
                         "effect.")
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]


def _digest(
    te: float, unet: float, ratios: dict[str, float] | None, arch: str, rules: Sequence[Rule], window: Window
) -> str:
    blocks = [1.0 if ratios is None else ratios[block] for block in ARCH_BLOCKS[arch]]
    written = json.dumps([te, unet, blocks, [str(rule) for rule in rules], window.start, window.stop])
    return hashlib.sha256(written.encode()).hexdigest()[:16]
