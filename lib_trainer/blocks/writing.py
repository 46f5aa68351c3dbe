"""Tags and block weights as text again: a tag with one argument changed, weights as the numbers that a tag can take.

The WebUIs need it where somebody else's text is continued: the axes of an XYZ plot put one value after the other into a
tag, and pasting a picture's parameters puts back the numbers that a preset had when the picture was drawn.
"""
from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lib_trainer.blocks.arguments import arrange
from lib_trainer.blocks.layouts import ARCH_BLOCKS, LORA_BLOCKS
from lib_trainer.blocks.tags import Tag
from lib_trainer.blocks.values import looks_like_number, number_text


@dataclass(frozen=True)
class Parts:
    """A LoRA tag by meaning, still as text; None = not given.

    Attributes:
        kind: "lora" or "lyco". name: the LoRA's name.
        te, unet: strengths. weights: preset, list or number. x: value of X in the list.
        others: further keywords, which stand for something in the host or in other extensions.
    """

    kind: str
    name: str
    te: str | None
    unet: str | None
    weights: str | None
    x: str | None
    others: Mapping[str, str]

    @classmethod
    def of(cls, tag: Tag) -> Parts:
        """Sorts the arguments of a tag."""
        arguments = arrange(tag)
        others = {key: value for key, value in tag.named.items() if key not in ("te", "unet", "lbw", "w", "x")}
        leading = list(itertools.takewhile(looks_like_number, tag.positional))
        if len(leading) > 2:
            others.setdefault("dyn", leading[2])
        return cls(tag.kind, tag.name, arguments.te, arguments.unet, arguments.weights, arguments.x, others)

    def with_weights(self, text: str | None) -> Parts:
        """The tag with other block weights; None = without."""
        return replace(self, weights=text, x=None)

    def with_rules(self, text: str) -> Parts:
        """The tag with other elemental rules."""
        return replace(self, others={**self.others, "lbwe": text})

    def with_strength(self, text: str) -> Parts:
        """The tag with one strength for both networks."""
        return replace(self, te=text, unet=None)

    def with_name(self, name: str) -> Parts:
        """The tag with another LoRA."""
        return replace(self, name=name)

    def __str__(self) -> str:
        """Writes the tag: strengths by place, everything else by keyword."""
        items = [self.kind, self.name]
        if self.te is not None:
            items.append(self.te)
        if self.unet is not None:
            items.append(self.unet if self.te is not None else f"unet={self.unet}")
        named = {"lbw": self.weights, "x": self.x, **self.others}
        items += [f"{key}={value}" for key, value in named.items() if value is not None]
        return f"<{':'.join(items)}>"


def numbers(ratios: Mapping[str, float], arch: str, fine: Mapping[str, float] | None = None) -> str:
    """Writes block weights as the shortest list that means the same on this architecture.

    Args:
        ratios: the weight of every block of the architecture.
        arch: "sd15" or "sdxl".
        fine: weights finer than blocks, see `resolve.Weights`.

    Returns:
        one number, 17 or 26 numbers (SD 1.x), 12 or 20 (SDXL), with commas; for each of `fine` one more item with its
        name, as in "0.5,MID0@1".
    """
    base = ",".join(number_text(value) for value in _shortest(ratios, arch))
    return ",".join([base, *(f"{name}@{number_text(value)}" for name, value in (fine or {}).items())])


def _shortest(ratios: Mapping[str, float], arch: str) -> list[float]:
    blocks = ARCH_BLOCKS[arch]
    if len(set(ratios.values())) == 1:
        return [ratios[blocks[0]]]
    short = LORA_BLOCKS[arch]
    if all(ratios[block] == 0 for block in blocks if block not in short):
        return [ratios[block] for block in short]
    return [ratios[block] for block in blocks]
