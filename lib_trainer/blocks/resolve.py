"""From a tag to numbers: the strengths of both networks and the weight of every block.

The block weights of a tag are a preset's name, a list of numbers, or one number for all blocks, also with named blocks
after them (see `block_lists`). A tag with a mistake in its strengths or block weights still acts, as
`<lora:name:strength>` would; one in its elemental rules or steps costs only these. Every mistake is told in a sentence
that quotes it: nobody waits for a picture that is not drawn, and nobody takes a plain LoRA for a weighted one.
"""
from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib_trainer.blocks.arguments import Arguments, arrange
from lib_trainer.blocks.block_weights import BlockWeights, read_block_weights
from lib_trainer.blocks.elements import NO_ELEMENTS, Elements, find_rules
from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.randomness import Draw, drawing
from lib_trainer.blocks.rules import Rule
from lib_trainer.blocks.tags import Tag
from lib_trainer.blocks.values import Unreadable, is_schedule, read_number, shortened
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
        fine: weights finer than blocks (`layouts.FINE`), where they differ: parts of the middle from M00, which is its
            attention's, the embeddings and the end from 1.
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
    fine: dict[str, float] = field(default_factory=dict)


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
        return Weights(tag.name, 0.0, 0.0, None, "", _digest(0.0, 0.0, None, {}, arch, (), ALWAYS), [], [error])
    arguments = arrange(tag)
    warnings, errors = arguments.warnings, arguments.errors
    if not tag.name:
        errors.append(f"{tag.text} names no LoRA: write <lora:name:1>.")
    te = _strength("te", arguments.te, 1.0, tag, arguments)
    unet = _strength("unet", arguments.unet, te, tag, arguments)
    found = _block_weights(arguments, presets, arch, tag, drawing(seed, tag.name, place))
    if errors:
        found = None
        errors[-1] += _without_block_weights(arguments, tag)
    if found:
        warnings.extend(found.notes)
    rules = _rules(arguments, elements, tag)
    window = _window(arguments, tag)
    ratios, fine = (found.ratios, found.fine) if found else (None, {})
    return Weights(
        tag.name, te, unet, ratios, arguments.weights or "" if found else "",
        _digest(te, unet, ratios, fine, arch, rules, window), warnings, errors,
        rules, arguments.rules or "" if rules else "", window, bool(found and found.is_random), fine)


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
    window, faults = read_window(arguments.start, arguments.stop, arguments.step)
    arguments.errors.extend(faults)
    if window.is_empty:
        arguments.warnings.append(f"LoRA '{tag.name}' acts in no step: {tag.text} stops it before it starts.")
    return window


def _block_weights(
    arguments: Arguments, presets: Presets, arch: str, tag: Tag, draw: Draw
) -> BlockWeights | None:
    """Finds the block weights; a mistake in them, or elsewhere in the tag, goes to `arguments.errors`."""
    found = None
    if arguments.weights is not None:
        try:
            x = 1.0 if arguments.x is None else _value_of_x(arguments.x, tag)
            found = read_block_weights(arguments.weights, presets, arch, x, draw)
        except UserError as fault:
            arguments.errors.append(str(fault))
    if arguments.x is not None and not (found and found.uses_x):
        reason = "no block weight that acts is X" if found else "there are no block weights"
        arguments.warnings.append(f"The value of X in {tag.text}, '{shortened(arguments.x)}', has no effect: {reason}.")
    return found


def _without_block_weights(arguments: Arguments, tag: Tag) -> str:
    """Says what acts in spite of a mistake."""
    if not tag.name:
        return ""
    told = "".join(arguments.errors + arguments.warnings)
    dropped = [f"'{shortened(text)}'" for text in (arguments.weights, arguments.x) if text]
    without = " and ".join(text for text in dropped if text not in told)
    return f" LoRA '{tag.name}' acts with plain strength{without and f', without {without}'}."


def _value_of_x(text: str, tag: Tag) -> float:
    try:
        return read_number(text)
    except Unreadable as fault:
        raise UserError(f"The value of X in {tag.text} cannot be read ({fault}).") from None


def _digest(
    te: float, unet: float, ratios: Mapping[str, float] | None, fine: Mapping[str, float], arch: str,
    rules: Sequence[Rule], window: Window,
) -> str:
    blocks = [1.0 if ratios is None else ratios[block] for block in ARCH_BLOCKS[arch]]
    written = [te, unet, blocks, sorted(fine.items()), [str(rule) for rule in rules], window.start, window.stop]
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()[:16]
