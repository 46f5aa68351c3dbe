"""Elemental rules: weights for parts of blocks, such as the attention layers of IN05 to OUT05.

A rule has blocks (names and ranges in the order of the 26, backwards, too), elements (parts of layer names, see
`layer_parts`) and a ratio. Blocks and elements may begin with NOT, and none means all, layers in no block included. The
ratio stands in the place of the block's weight, and of several rules that match a layer the last acts.

In a tag a rule is written `blocks/elements@ratio`, which no colon and no equals sign cuts: `lbwe=IN05-OUT05/attn@0`.
"""
from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lib_trainer.blocks.layer_parts import has_part, near_part
from lib_trainer.blocks.layouts import BLOCKS_26
from lib_trainer.blocks.selection import parse_blocks
from lib_trainer.blocks.values import Unreadable, number_text, read_number, shortened
from lib_trainer.errors import UserError

_NOT = "NOT"

_SHORT = re.compile(r"(?<![\w-])(IN|OUT)([01])(?![\w-])")
"""Blocks written with one digit, which that extension looks for anywhere in the names of blocks."""


@dataclass(frozen=True)
class Rule:
    """One rule: which layers, and their weight.

    Attributes:
        blocks: names out of the 26; empty = all, and layers in no block.
        elements: parts of layer names, of which one must be there; empty = all.
        ratio: the weight of these layers, in the place of their block's.
        not_blocks: whether the blocks are those that are not meant.
        not_elements: whether the elements are those that must not be there.
    """

    blocks: frozenset[str]
    elements: tuple[str, ...]
    ratio: float
    not_blocks: bool = False
    not_elements: bool = False

    def matches(self, layer: str, block: str | None) -> bool:
        """Whether the rule is for a layer.

        Args:
            layer: its name in any spelling, with the prefix of a LoRA file or without.
            block: its block, one of the 26; None for a layer in no block.
        """
        if self.blocks and (block in self.blocks) is self.not_blocks:
            return False
        return not self.elements or any(has_part(layer, one) for one in self.elements) is not self.not_elements

    def __str__(self) -> str:
        """Writes the rule as a tag takes it: `IN05-OUT05/attn@0`."""
        sides = ((" ".join(_ranges(self.blocks)), self.not_blocks), (" ".join(self.elements), self.not_elements))
        written = [f"{_NOT} {text}" if negated and text else text for text, negated in sides]
        return f"{'/'.join(written)}@{number_text(self.ratio)}"


def _ranges(blocks: frozenset[str]) -> list[str]:
    """Writes blocks as ranges in the order of the 26."""
    runs = [list(run) for chosen, run in itertools.groupby(BLOCKS_26, blocks.__contains__) if chosen]
    return [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def inline(rules: Sequence[Rule]) -> str:
    """Writes rules as a tag takes them: `IN05-OUT05/attn@0,/proj@0.5`."""
    return ",".join(str(rule) for rule in rules)


def read_rule(blocks: str, elements: str, ratio: str) -> Rule:
    """Reads the three parts of a rule.

    Raises:
        Unreadable: an unknown block or a bad number, as the end of a sentence.
    """
    not_blocks, blocks = _negated(blocks)
    not_elements, elements = _negated(elements)
    parts = tuple(elements.split())
    bare = [part for part in parts if not part.strip("=.")]
    if bare:
        raise Unreadable(f"'{bare[0]}' is no part of a layer name")
    try:
        chosen = parse_blocks(blocks, backwards=True) if blocks else frozenset[str]()
    except UserError as fault:
        raise Unreadable(str(fault).rstrip(".")) from None
    return Rule(chosen, parts, read_number(ratio.strip()), not_blocks and bool(chosen), not_elements and bool(parts))


def read_inline(text: str) -> Rule:
    """Reads a rule as a tag has it: `blocks/elements@ratio`; without `/` it is for all elements.

    Raises:
        Unreadable: as `read_rule`.
    """
    layers, at, ratio = text.rpartition("@")
    if not at:
        raise Unreadable("the ratio is missing: write blocks/elements@ratio")
    blocks, _, elements = layers.partition("/")
    return read_rule(blocks, elements, ratio)


def notes_on(rule: Rule, blocks: str) -> list[str]:
    """Sentences about elements that no layer has, and about blocks that the LoRA Block Weight extension takes for more.

    Args:
        rule: as it was read.
        blocks: its blocks as written.
    """
    short = [f"'{found[0]}' means {found[1]}0{found[2]} alone; for what the LoRA Block Weight extension takes it for, "
             f"write {found[1]}{found[2]}0-{found[1]}{'09' if found[2] == '0' else '11'}."
             for found in _SHORT.finditer(blocks)]
    near = {element: near_part(element) for element in rule.elements}
    return short + [
        f"No layer's name has '{shortened(element)}'{f': did you mean {one!r}?' if one else '.'}"
        for element, one in near.items() if one is not None]


def _negated(text: str) -> tuple[bool, str]:
    words = text.split(maxsplit=1)
    if words and words[0].upper() == _NOT:
        return True, words[1] if len(words) > 1 else ""
    return False, text.strip()
