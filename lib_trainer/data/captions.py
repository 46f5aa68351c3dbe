"""Captions: reading the text file beside a picture, and changing a caption at every use.

A caption is a list of tags with commas. Shuffling and dropping tags teaches the model that their order means little and
that none of them is always there. The order of the operations is sd-scripts' own: whole-caption dropout; split at ",";
the first `keep_tokens` tags stay; shuffle the others; drop some; join with ", ". Without any of them the caption is
used as it was written, to the letter.
"""
from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

SEPARATOR = ","


class UnreadableCaption(Exception):
    """A caption file that cannot be read; the text is what is wrong with it."""


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
    """

    shuffle: bool = False
    keep_tokens: int = 0
    caption_dropout: float = 0.0
    tag_dropout: float = 0.0

    @property
    def varies(self) -> bool:
        """Whether a caption may take too many forms to encode each of them beforehand."""
        return self.shuffle or self.tag_dropout > 0

    def forms(self, caption: str) -> list[str]:
        """Returns everything that can become of a caption, where it does not vary."""
        return [caption, ""] if self.caption_dropout > 0 else [caption]

    def apply(self, caption: str, rng: random.Random, moment: Moment) -> str:
        """Returns the caption for one use."""
        return process(
            caption, rng, shuffle=self.shuffle, keep_tokens=self.keep_tokens,
            caption_dropout=self.caption_dropout, tag_dropout=self.tag_dropout,
        )


def process(
    caption: str,
    rng: random.Random,
    *,
    shuffle: bool = False,
    keep_tokens: int = 0,
    caption_dropout: float = 0.0,
    tag_dropout: float = 0.0,
) -> str:
    """Returns the caption for one use; see `CaptionRules` for the arguments.

    Empty tags ("a, , b") are left out when the caption is split: they would only move double commas around.
    """
    if caption_dropout > 0 and rng.random() < caption_dropout:
        return ""
    if not shuffle and tag_dropout <= 0:
        return caption
    found = tags(caption)
    fixed, free = found[:keep_tokens], found[keep_tokens:]
    if shuffle:
        rng.shuffle(free)
    if tag_dropout > 0:
        free = [tag for tag in free if rng.random() >= tag_dropout]
    return ", ".join(fixed + free)


def tags(caption: str) -> list[str]:
    """Returns the caption's tags, without the spaces around them and without empty ones."""
    return [tag for part in caption.split(SEPARATOR) if (tag := part.strip())]


def read_caption(path: Path) -> tuple[str, int]:
    """Reads a caption file (UTF-8, with or without BOM, any line ends).

    Returns:
        The first line that is not empty, as sd-scripts reads it, and how many further ones there are.

    Raises:
        UnreadableCaption: not UTF-8, or the file cannot be opened.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableCaption(f"cannot be opened ({error.strerror})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableCaption(f"not UTF-8{_looks_like(content)}") from None
    if "\0" in text:
        raise UnreadableCaption(f"not UTF-8 text{_looks_like(content)}")
    lines = [line for part in text.splitlines() if (line := part.strip())]
    return (lines[0], len(lines) - 1) if lines else ("", 0)


def _looks_like(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or content.count(0) * 4 > len(content):
        return ", probably UTF-16"
    try:
        content.decode("cp932")
    except UnicodeDecodeError:
        return ""
    return ", probably Shift-JIS (cp932)"
