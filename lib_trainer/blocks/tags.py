"""Tags in a prompt: `<lora:name:0.8:lbw=NCNF>`.

The WebUIs take everything of the form `<word:arguments>` out of a prompt, cut the arguments at `:` and call an argument
with `=` named. This module does the same and nothing more: what the arguments mean is read in `arguments`.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_TAG = re.compile(r"<(\w+):([^>]+)>")

_LORA_KINDS = frozenset({"lora", "lyco"})


@dataclass(frozen=True)
class Tag:
    """One tag of a prompt.

    Attributes:
        kind: the word before the first colon, in lower case: "lora", "lyco" (the same thing) or something else.
        name: the first argument without `=`: the LoRA's name; empty when there is none.
        positional: the other arguments without `=`, stripped.
        named: the arguments with `=`: keyword in lower case -> value, both stripped; the last of equal ones.
        text: the tag as written, with its brackets.
        repeated: arguments with `=` that do not act because a later one has the same keyword, as written.
    """

    kind: str
    name: str
    positional: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)
    text: str = ""
    repeated: tuple[str, ...] = ()

    @property
    def is_lora(self) -> bool:
        """Whether the tag names a LoRA; other kinds (`<hypernet:...>`) are taken out of the prompt, too."""
        return self.kind in _LORA_KINDS


def split(prompt: str) -> tuple[str, list[Tag]]:
    """Takes the tags out of a prompt.

    Args:
        prompt: any text.

    Returns:
        the prompt without its tags, otherwise unchanged, and the tags in their order.
    """
    return _TAG.sub("", prompt), [_tag(found) for found in _TAG.finditer(prompt)]


def rewritten(prompt: str, write: Callable[[Tag], str]) -> str:
    """Returns the prompt with every tag replaced by what `write` makes of it."""
    return _TAG.sub(lambda found: write(_tag(found)), prompt)


def _tag(found: re.Match[str]) -> Tag:
    positional: list[str] = []
    named: dict[str, str] = {}
    written: dict[str, str] = {}
    repeated: list[str] = []
    for item in found[2].split(":"):
        keyword, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            positional.append(keyword)
            continue
        if keyword.lower() in named:
            repeated.append(written[keyword.lower()])
        named[keyword.lower()] = value
        written[keyword.lower()] = item.strip()
    name = positional[0] if positional else ""
    return Tag(found[1].lower(), name, tuple(positional[1:]), named, found[0], tuple(repeated))
