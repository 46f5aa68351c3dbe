"""Captions: how the text beside a picture changes at every use.

A caption is a list of tags with commas. Shuffling and dropping tags teaches the model that their order means little and
that none of them is always there. The order of the operations is sd-scripts' own: the whole caption is dropped, or gets
prefix and suffix; wildcards; the tags are split into those that stay and those that are free; warm-up, shuffle and
dropping of the free ones; joined again; the second separator. Without any of them the caption is used as it was
written, to the letter.

Three things differ on purpose. Tags that were split at another sign than "," are joined with that sign again, as it was
written, where sd-scripts always writes ", ". The sign of `keep_tokens_separator` is taken out of every caption, not
only where tags are shuffled. Prefix and suffix go around the line that is used, also of a caption of several lines.
"""
from __future__ import annotations

import random
import re
from dataclasses import dataclass

from lib_trainer.data.captions import wildcards
from lib_trainer.data.captions.wildcards import Choose

SEPARATOR = ","


@dataclass(frozen=True)
class Moment:
    """When a caption is used.

    Attributes:
        epoch: counted from 1. update: optimiser steps done before. total: of the whole run; 0 = not known.
    """

    epoch: int = 1
    update: int = 0
    total: int = 0


@dataclass(frozen=True)
class CaptionRules:
    """What happens to a caption at every use.

    Attributes:
        shuffle: shuffle the tags.
        keep_tokens: this many tags stay first and are never dropped.
        caption_dropout: chance in 0..1 that the whole caption becomes empty.
        tag_dropout: chance in 0..1 of every tag to be left out.
        dropout_every: in every epoch that is a multiple of it all captions become empty; 0 = never.
        prefix: put before, with a space. suffix: put behind.
        wildcards: `{a|b}` and captions of several lines are choices.
        separator: what stands between tags.
        keep_tokens_separator: what stands before it stays first, what stands behind its second one stays last; where a
            caption has it, `keep_tokens` does not count. Empty = none.
        secondary_separator: replaced by the separator in the end, so that what it joins travels as one tag.
        warmup_min: free tags with which a warm-up begins, the first ones.
        warmup_step: updates until all tags are there, below 1 a part of the run; 0 = no warm-up.
    """

    shuffle: bool = False
    keep_tokens: int = 0
    caption_dropout: float = 0.0
    tag_dropout: float = 0.0
    dropout_every: int = 0
    prefix: str = ""
    suffix: str = ""
    wildcards: bool = False
    separator: str = SEPARATOR
    keep_tokens_separator: str = ""
    secondary_separator: str = ""
    warmup_min: int = 1
    warmup_step: float = 0.0

    def varies(self, caption: str) -> bool:
        """Whether a caption may take too many forms to encode each of them beforehand."""
        if self.wildcards and ("\n" in caption or wildcards.are_in(self._framed(caption))):
            return True
        free = len(self._split(self._chosen(caption, wildcards.first))[1])
        return (
            (self.shuffle and free > 1) or (self.tag_dropout > 0 and free > 0)
            or (self.warmup_step > 0 and free > self.warmup_min)
        )

    def forms(self, caption: str) -> list[str]:
        """Returns everything that can become of a caption which does not vary."""
        settled = self.settled(caption)
        return [settled, ""] if settled and (self.caption_dropout > 0 or self.dropout_every > 0) else [settled]

    def settled(self, caption: str) -> str:
        """Returns the caption with nothing left to chance: nothing dropped or shuffled, every first choice."""
        return self._joined(self._chosen(caption, wildcards.first), None, Moment())

    def apply(self, caption: str, rng: random.Random, moment: Moment) -> str:
        """Returns the caption for one use."""
        if self.caption_dropout > 0 and rng.random() < self.caption_dropout:
            return ""
        if self.dropout_every > 0 and moment.epoch % self.dropout_every == 0:
            return ""
        return self._joined(self._chosen(caption, wildcards.at_random(rng)), rng, moment)

    def _chosen(self, caption: str, choose: Choose) -> str:
        """Returns one line with prefix, suffix and choices made."""
        lines = caption.split("\n")
        if not self.wildcards:
            return self._framed(lines[0])
        line = choose(lines) if len(lines) > 1 else caption
        return wildcards.resolve(self._framed(line), choose)

    def _framed(self, line: str) -> str:
        if not self.prefix and not self.suffix:
            return line
        return " ".join(filter(None, (self.prefix, line, self.suffix)))

    def _joined(self, caption: str, rng: random.Random | None, moment: Moment) -> str:
        """Returns the caption with its tags warmed up, shuffled, dropped and joined; None = with all of them."""
        changes = self.shuffle or self.tag_dropout > 0 or self.warmup_step > 0
        if changes or (self.keep_tokens_separator and self.keep_tokens_separator in caption):
            first, free, last = self._split(caption)
            if rng is not None:
                free = self._warmed(free, moment)
                if self.shuffle:
                    rng.shuffle(free)
                if self.tag_dropout > 0:
                    free = [tag for tag in free if rng.random() >= self.tag_dropout]
            caption = glue(caption, self.separator).join(first + free + last)
        if self.secondary_separator:
            caption = caption.replace(self.secondary_separator, self.separator)
        return caption

    def _split(self, caption: str) -> tuple[list[str], list[str], list[str]]:
        """Returns the tags that stay first, those that are free, and those that stay last."""
        if self.keep_tokens_separator and self.keep_tokens_separator in caption:
            parts = caption.split(self.keep_tokens_separator, 2)
            first, free, last = (tags(part, self.separator) for part in [*parts, ""][:3])
            return first, free, last
        found = tags(caption, self.separator)
        return found[: self.keep_tokens], found[self.keep_tokens :], []

    def _warmed(self, free: list[str], moment: Moment) -> list[str]:
        """Returns as many of the first tags as the warm-up has come to."""
        whole = self.warmup_step if self.warmup_step >= 1 else self.warmup_step * moment.total
        steps = int(whole)
        if moment.update >= steps or len(free) <= self.warmup_min:
            return free
        return free[: moment.update * (len(free) - self.warmup_min) // steps + self.warmup_min]


def tags(caption: str, separator: str = SEPARATOR) -> list[str]:
    """Returns the caption's tags, without the spaces around them and without empty ones ("a, , b")."""
    return [tag for part in caption.split(separator) if (tag := part.strip())]


def glue(caption: str, separator: str) -> str:
    """Returns what the tags of a caption are joined with: ", ", or another separator with the spaces around its first
    occurrence.
    """
    if separator == SEPARATOR:
        return ", "
    found = re.search(rf"\s*{re.escape(separator)}\s*", caption)
    return found[0] if found else separator
