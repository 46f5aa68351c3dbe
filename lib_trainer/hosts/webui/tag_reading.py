"""From the arguments of a LoRA tag to what the host's own network is given, and what is ours.

The WebUIs' network reads `name`, `te`, `unet` and `dyn` and gives up on all LoRAs of a prompt when one of them is no
number. So it never sees an argument of ours: a tag that has one is given to it as name and strengths.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lib_trainer.blocks.tags import Tag, split
from lib_trainer.blocks.values import looks_like_number

_HOST_KEYWORDS = frozenset({"te", "unet", "dyn"})


class Mark(str):
    """The numbers that a tag sets in the text encoder, as one more argument of the tag.

    The host keeps text states as long as the tags' arguments stay the same. With this argument they differ exactly when
    the numbers behind a preset's name do.
    """

    __slots__ = ()


@dataclass(frozen=True)
class Reading:
    """A tag, sorted.

    Attributes:
        tag: what `blocks.resolve` reads: without the `dyn` that the host gets.
        is_plain: whether the host's network understands the tag as it is written.
        dyn: the host's `dyn` argument as text, where a tag of ours has one that is a number; else None.
    """

    tag: Tag
    is_plain: bool
    dyn: str | None = None


def read(items: Sequence[object]) -> Reading:
    """Sorts the arguments of a tag, as the host has cut them at the colons."""
    texts = [str(item) for item in items if not isinstance(item, Mark)]
    tags = split(f"<lora:{':'.join(texts)}>")[1]
    tag = tags[0] if tags else Tag("lora", "", text="<lora:>")
    if _is_plain(tag):
        return Reading(tag, True)
    dyn = tag.named.get("dyn") or _third(tag)
    if dyn is None or not (dyn.isascii() and dyn.isdigit()):
        return Reading(tag, False)
    return Reading(_without_dyn(tag), False, dyn)


def given(reading: Reading, te: float, unet: float) -> list[str]:
    """Returns the arguments that the host's network gets instead of a tag of ours."""
    dyn = [] if reading.dyn is None else [f"dyn={reading.dyn}"]
    return [reading.tag.name, repr(te), repr(unet), *dyn]


def _is_plain(tag: Tag) -> bool:
    """Whether every argument is one of the host's and a number to it."""
    if not tag.name or len(tag.positional) > 3 or not tag.named.keys() <= _HOST_KEYWORDS:
        return False
    whole = [*tag.positional[2:], *([tag.named["dyn"]] if "dyn" in tag.named else [])]
    numbers = [*tag.positional[:2], *(tag.named[key] for key in ("te", "unet") if key in tag.named)]
    return all(_is_float(text) for text in numbers) and all(_is_int(text) for text in whole)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_int(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _third(tag: Tag) -> str | None:
    """The host's place for `dyn`: the third of the numbers that stand before anything else."""
    if len(tag.positional) < 3 or not all(looks_like_number(text) for text in tag.positional[:3]):
        return None
    return tag.positional[2]


def _without_dyn(tag: Tag) -> Tag:
    """Takes the `dyn` out that the host gets; another one stays, and is told to have no effect."""
    if tag.named.get("dyn"):
        return replace(tag, named={key: value for key, value in tag.named.items() if key != "dyn"})
    return replace(tag, positional=(*tag.positional[:2], *tag.positional[3:]))
