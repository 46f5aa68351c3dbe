"""What the arguments of a LoRA tag stand for.

Forms: `<lora:n:0.8>`, `<lora:n:te:unet>`, `<lora:n:0.8:NCNF>`, `<lora:n:0.8:1,0,...>`, and the named `te=`, `unet=`,
`lbw=` (or `w=`), `x=`, `lbwe=`, `start=`, `stop=` and `step=` in any order. Arguments without a keyword are told apart
by what they look like: the first number is the strength of both networks, the second that of the U-Net, anything that
is no number is the block weights. A number after those is the value of X, when a strength stands before them; otherwise
strengths may follow (`<lora:n:NCNF:te:unet>`). Every argument that takes no part is told to the person.
"""
from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from lib_trainer.blocks.tags import Tag
from lib_trainer.blocks.values import looks_like_strength, shortened

_KEYWORDS = {"lbw": "weights", "w": "weights", "te": "te", "unet": "unet", "x": "x", "lbwe": "rules",
             "start": "start", "stop": "stop", "step": "step", "dyn": "dyn"}


@dataclass
class Arguments:
    """The arguments of one tag by meaning, still as text; None = not given.

    Attributes:
        te: strength of the text encoder.
        unet: strength of the U-Net.
        weights: block weights: a preset's name, a list of numbers or one number.
        x: what X stands for in the list.
        rules: elemental rules: IDs, or rules as a tag has them.
        start, stop, step: the steps in which the LoRA acts.
        dyn: the WebUIs' own argument for the rank; never taken here.
        warnings: sentences about arguments that take no part.
        errors: sentences about arguments that cannot be understood.
    """

    te: str | None = None
    unet: str | None = None
    weights: str | None = None
    x: str | None = None
    rules: str | None = None
    start: str | None = None
    stop: str | None = None
    step: str | None = None
    dyn: str | None = None
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
    for item in tag.repeated:
        keyword = item.partition("=")[0].strip().lower()
        arguments.warnings.append(f"'{shortened(item)}' in {tag.text} was ignored: the last '{shortened(keyword)}=' "
                                  "acts.")
    for keyword, value in tag.named.items():
        if keyword not in _KEYWORDS:
            arguments.warnings.append(_unknown_keyword(keyword, value, tag))
        elif keyword == "w" and "lbw" in tag.named:
            arguments.warnings.append(f"'w={shortened(value)}' in {tag.text} was ignored because 'lbw=' is given too.")
        else:
            setattr(arguments, _KEYWORDS[keyword], value)
    _settle_steps(tag, arguments)
    _refuse_dyn(arguments.dyn, tag, arguments)


def _unknown_keyword(keyword: str, value: str, tag: Tag) -> str:
    near = difflib.get_close_matches(keyword, _KEYWORDS, 1)
    known = ", ".join(f"{one}=" for one in _KEYWORDS if one not in ("w", "dyn"))
    advice = f"did you mean '{near[0]}='?" if near else f"known are {known}."
    return f"Unknown keyword in {tag.text}: '{shortened(f'{keyword}={value}')}' was ignored; {advice}"


def _settle_steps(tag: Tag, arguments: Arguments) -> None:
    """`step=` stands in the place of `start=` and `stop=`."""
    for keyword in ("start", "stop"):
        value = getattr(arguments, keyword)
        if value is not None and arguments.step is not None:
            arguments.warnings.append(f"'{keyword}={shortened(value)}' in {tag.text} was ignored because 'step=' is "
                                      "given too.")


def _refuse_dyn(value: str | None, tag: Tag, arguments: Arguments) -> None:
    if value is not None:
        arguments.warnings.append(f"The rank '{shortened(value)}' (dyn) in {tag.text} has no effect here: only the "
                                  "WebUIs' own LoRAs take a whole number there.")


def _read_positional(tag: Tag, arguments: Arguments) -> None:
    """Takes the arguments without keyword: strengths, block weights, and X behind both."""
    strengths: list[str] = []
    most = 2  # strengths that may follow block weights: none, where one stands before them
    for item in tag.positional:
        if not item:
            arguments.errors.append(f"There is nothing between two colons in {tag.text}: write a number or a preset, "
                                    "or remove a colon.")
        elif not looks_like_strength(item):
            _take(arguments, "weights", item, tag)
            most = len(strengths) or most
        elif _has_weights(tag, arguments) and len(strengths) >= most:
            _take(arguments, "x", item, tag)
        else:
            strengths.append(item)
    _take_strengths(arguments, strengths, tag)


def _has_weights(tag: Tag, arguments: Arguments) -> bool:
    """Whether block weights were found without keyword."""
    return arguments.weights is not None and not {"lbw", "w"} & tag.named.keys()


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
        _refuse_dyn(item, tag, arguments)
    arguments.te = first if arguments.te is None else arguments.te
    arguments.unet = second if arguments.unet is None else arguments.unet
