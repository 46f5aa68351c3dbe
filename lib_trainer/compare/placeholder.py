"""The placeholders of a plot in a prompt's LoRA tags: block weights `XYZ` and `ZYX`, and elemental rules `XYZ`.

`<lora:name:1:XYZ>` gets the weights of every cell, `ZYX` gets 1 - v, `lbwe=XYZ` the rules. They are written out in the
tag, so the prompt of a cell says by itself how the cell was drawn. Outside a plot they are names like any other.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from lib_trainer.blocks.tags import Tag, rewritten, split
from lib_trainer.blocks.values import is_variable, items_of
from lib_trainer.blocks.writing import Parts

WEIGHTS, INVERSE = "XYZ", "ZYX"
RULES = "lbwe=XYZ"
"""How the placeholder of rules is called here and in sentences."""

_KEYWORD, _NAME = RULES.split("=")


def placeholders(prompt: str) -> frozenset[str]:
    """Returns which of `WEIGHTS`, `INVERSE` and `RULES` the LoRA tags of a prompt have."""
    return frozenset().union(*(_of(tag) for tag in split(prompt)[1] if tag.is_lora))


def names(prompt: str) -> list[str]:
    """Returns the names of the LoRAs whose tags have a placeholder."""
    return list(dict.fromkeys(tag.name for tag in split(prompt)[1] if tag.is_lora and _of(tag)))


def _of(tag: Tag) -> frozenset[str]:
    parts = Parts.of(tag)
    found = {parts.weights} & {WEIGHTS, INVERSE}
    return frozenset({one for one in found if one} | ({RULES} if parts.others.get(_KEYWORD) == _NAME else set()))


@dataclass(frozen=True)
class Placed:
    """Writes weights and rules in the places of the placeholders; a `Change`.

    Attributes:
        weights: what stands for `XYZ`; None = it stays. inverse: for `ZYX`. rules: for `lbwe=XYZ`.
    """

    weights: str | None = None
    inverse: str | None = None
    rules: str | None = None

    def __call__(self, prompt: str) -> str:
        """Returns the prompt of a cell."""
        return rewritten(prompt, self._write)

    def _write(self, tag: Tag) -> str:
        if not tag.is_lora or not _of(tag):
            return tag.text
        parts = Parts.of(tag)
        weights = {WEIGHTS: self.weights, INVERSE: self.inverse}.get(parts.weights or "")
        if weights is not None:
            has_variable = any(is_variable(item) for item in items_of(weights))
            parts = replace(parts, weights=weights, x=parts.x if has_variable else None)
        if self.rules is not None and parts.others.get(_KEYWORD) == _NAME:
            parts = replace(parts, others={**parts.others, _KEYWORD: self.rules})
        return str(parts)
