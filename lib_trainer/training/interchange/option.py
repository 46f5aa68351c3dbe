"""One option of sd-scripts: how it is written there, and what becomes of it here.

Every option has exactly one verdict: it is one of our settings (alone, or together with other options), it means
nothing here (with the reason), or it is not supported (with what to do instead). The tables lie in `options/`.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OURS, NEEDLESS, UNSUPPORTED = "ours", "needless", "unsupported"

Value = Any
"""True or False, a number, a text, a list of these, or None for an option that is not given."""


@dataclass(frozen=True)
class Option:
    """An option of sd-scripts' `train_network.py` or `sdxl_train_network.py`.

    Attributes:
        name: without dashes. kind: "flag", "int", "float", "steps" (a whole number, or a part of the run below 1),
            "text" or "path". default: sd-scripts' value where it is not given.
        verdict: OURS, NEEDLESS or UNSUPPORTED.
        fields: our settings it becomes part of. says: why it means nothing here, or what to do instead.
        several: whether it takes a list.
        alone: whether it becomes its one field by itself; the other options that are ours are read in `joined`.
        off: our value of None. words: sd-scripts' words with ours, where they differ.
    """

    name: str
    kind: str
    default: Value = None
    verdict: str = OURS
    fields: tuple[str, ...] = ()
    says: str = ""
    several: bool = False
    alone: bool = False
    off: Value = None
    words: dict[str, str] = field(default_factory=dict)

    def ours(self, value: Value) -> Value:
        """Returns our value of sd-scripts' one."""
        if value is None or (value == "" and self.off is not None):
            return self.off
        return self.words.get(value, value) if isinstance(value, str) else value

    def theirs(self, value: Value) -> Value:
        """Returns sd-scripts' value of ours, None where it is the same as not given."""
        if value == self.off and not isinstance(value, bool):
            return None
        back = {ours: theirs for theirs, ours in reversed(self.words.items())}  # the first word of several
        return back.get(value, value) if isinstance(value, str) else value


def same(
    name: str, kind: str, default: Value, field: str = "", off: Value = None, words: dict[str, str] | None = None
) -> Option:
    """Returns an option that is one field by itself; `field` may be left out where it has the same name."""
    return Option(name, kind, default, fields=(field or name,), alone=True, off=off, words=words or {})


def joined(name: str, kind: str, default: Value, *fields: str, several: bool = False) -> Option:
    """Returns an option that becomes fields together with others."""
    return Option(name, kind, default, fields=fields, several=several)


def needless(name: str, kind: str, default: Value, says: str) -> Option:
    """Returns an option that means nothing here; `says` gives the reason."""
    return Option(name, kind, default, NEEDLESS, says=says)


def unsupported(name: str, kind: str, default: Value, says: str) -> Option:
    """Returns an option that cannot be had here; `says` tells what to do instead."""
    return Option(name, kind, default, UNSUPPORTED, says=says)
