"""What captions say in a grammar that is switched off, or that other settings break."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from lib_trainer.data.captions import wildcards
from lib_trainer.data.captions.caption_rules import SEPARATOR, CaptionRules, tags
from lib_trainer.data.item import Item
from lib_trainer.training.config import TrainConfig

_WEIGHT = re.compile(r"(?<!\\)\([^()]*:\s*\d+(\.\d+)?\s*\)")
_ESCAPED = re.compile(r"\\.")


def remarks(config: TrainConfig, items: Sequence[Item]) -> Iterator[str]:
    """What the person should know, one sentence per kind."""
    found = _matching(items, lambda rules, caption: not rules.wildcards and wildcards.are_in(caption))
    if found:
        yield (f"{_captions(found)} with choices, such as {found[0].caption!r:.80}: they are taken literally; switch "
               "'Wildcards' on to have one of them at every use.")
    found = _matching(items, lambda rules, caption: _WEIGHT.search(caption) is not None)
    if found and not config.weighted_captions:
        yield (f"{_captions(found)} with weights, such as {found[0].caption!r:.80}: they are taken literally; switch "
               "'Weighted captions' on to have them act.")
    if config.weighted_captions:
        yield from _parted(items)
    for separator in sorted({rules.separator for rules in _rules(items) if rules.separator != SEPARATOR}):
        yield f"Tags are split at {separator!r} and joined with it again; sd-scripts would join them with ', '."


def _parted(items: Sequence[Item]) -> Iterator[str]:
    found = _matching(items, lambda rules, caption: rules.shuffle and any(
        not _balanced(tag) for tag in tags(caption, rules.separator)))
    if found:
        yield (f"{_captions(found)} with brackets around several tags, such as {found[0].caption!r:.80}: shuffling "
               "parts them, and they weigh whatever then stands between; give every tag brackets of its own.")


def _balanced(tag: str) -> bool:
    plain = _ESCAPED.sub("", tag)
    return plain.count("(") == plain.count(")") and plain.count("[") == plain.count("]")


def _matching(items: Sequence[Item], matches: Callable[[CaptionRules, str], bool]) -> list[Item]:
    return [item for item in items if matches(item.subset.captions, item.caption)]


def _rules(items: Sequence[Item]) -> set[CaptionRules]:
    return {rules.captions for rules in {id(item.subset): item.subset for item in items}.values()}


def _captions(found: Sequence[Item]) -> str:
    return f"{len(found):,} caption{'s' if len(found) != 1 else ''}"
