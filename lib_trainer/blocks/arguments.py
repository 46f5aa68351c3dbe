"""What the arguments of a LoRA tag stand for.

Forms: `<lora:n:0.8>`, `<lora:n:te:unet>`, `<lora:n:0.8:NCNF>`, `<lora:n:0.8:1,0,...>`, and the named `te=`, `unet=`,
`lbw=` (or `w=`) and `x=` in any order. Arguments without a keyword are told apart by what they look like: the first
number is the strength of both networks, the second that of the U-Net, anything that is no number is the block weights,
and a number after those is the value of X. Every argument that takes no part is told to the person.
"""
from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from lib_trainer.blocks.tags import Tag
from lib_trainer.blocks.values import looks_like_number, shortened

_KEYWORDS = {"lbw": "weights", "w": "weights", "te": "te", "unet": "unet", "x": "x"}

_LATER = frozenset({"dyn", "start", "stop", "step", "lbwe"})
"""Keywords that exist for hosts or other extensions but have no meaning here yet."""


@dataclass
class Arguments:
    """The arguments of one tag by meaning, still as text; None = not given.

    Attributes:
        te: strength of the text encoder.
        unet: strength of the U-Net.
        weights: block weights: a preset's name, a list of numbers or one number.
        x: what X stands for in the list.
        warnings: sentences about arguments that take no part.
        errors: sentences about arguments that cannot be understood.
    """

    te: str | None = None
    unet: str | None = None
    weights: str | None = None
    x: str | None = None
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def arrange(tag: Tag) -> Arguments:
    """Sorts the arguments of a LoRA tag by meaning.

    The strengths follow the WebUIs: `te=` stands before the first number, `unet=` before the second; a missing U-Net
    strength is that of the text encoder, and a missing strength of the text encoder is 1.
    """
    arguments = Arguments()
    _read_named(tag, arguments)
    _read_positional(tag, arguments)
    return arguments


def _read_named(tag: Tag, arguments: Arguments) -> None:
    for keyword in tag.repeated:
        arguments.warnings.append(f"'{shortened(keyword)}=' stands more than once in {tag.text}: the last one acts.")
    for keyword, value in tag.named.items():
        if keyword in _LATER:
            arguments.warnings.append(f"'{keyword}={shortened(value)}' in {tag.text} is not supported yet "
                                      "and was ignored.")
        elif keyword not in _KEYWORDS:
            arguments.warnings.append(_unknown_keyword(keyword, tag))
        elif keyword == "w" and "lbw" in tag.named:
            arguments.warnings.append(f"'w={shortened(value)}' in {tag.text} was ignored because 'lbw=' is given too.")
        else:
            setattr(arguments, _KEYWORDS[keyword], value)


def _unknown_keyword(keyword: str, tag: Tag) -> str:
    near = difflib.get_close_matches(keyword, _KEYWORDS, 1)
    advice = f"did you mean '{near[0]}='?" if near else "known are te=, unet=, lbw= and x=."
    return f"Unknown keyword '{shortened(keyword)}=' in {tag.text} was ignored: {advice}"


def _read_positional(tag: Tag, arguments: Arguments) -> None:
    strengths: list[str] = []
    has_weights = False
    for item in tag.positional:
        if not item:
            arguments.errors.append(f"There is nothing between two colons in {tag.text}: write a number or a preset, "
                                    "or remove a colon.")
        elif not looks_like_number(item):
            _take(arguments, "weights", item, tag)
            has_weights = True
        elif has_weights and strengths:
            _take(arguments, "x", item, tag)
        else:
            strengths.append(item)
    _take_strengths(arguments, strengths, tag)


def _take(arguments: Arguments, meaning: str, item: str, tag: Tag) -> None:
    """Gives an argument without keyword its meaning, unless something else has that already."""
    if getattr(arguments, meaning) is None:
        setattr(arguments, meaning, item)
    else:
        label = {"weights": "Block weights are", "x": "The value of X is"}[meaning]
        arguments.warnings.append(f"{label} given twice in {tag.text}: '{shortened(item)}' was ignored.")


def _take_strengths(arguments: Arguments, strengths: list[str], tag: Tag) -> None:
    first, second = [*strengths[:2], None, None][:2]
    if first is not None and arguments.te is not None:
        advice = "" if second or arguments.unet else f" te= sets both networks, as in the WebUIs: add unet={first}."
        arguments.warnings.append(f"The strength '{shortened(first)}' in {tag.text} has no effect beside te=.{advice}")
    if second is not None and arguments.unet is not None:
        arguments.warnings.append(f"The strength '{shortened(second)}' in {tag.text} has no effect beside unet=.")
    for item in strengths[2:]:
        arguments.warnings.append(f"The third strength '{shortened(item)}' (dyn) in {tag.text} is not supported yet "
                                  "and was ignored.")
    arguments.te = first if arguments.te is None else arguments.te
    arguments.unet = second if arguments.unet is None else arguments.unet
