"""Values of sd-scripts' options as numbers, texts and lists, whichever way they were written.

TOML holds numbers, kohya_ss and command lines texts of numbers. What cannot be read becomes a sentence; nothing is
guessed.
"""
from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.network_args import NETWORK_ARGS
from lib_trainer.training.interchange.option import Option, Value

_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_EXPECTED = {
    "flag": "true or false", "int": "a whole number", "float": "a number",
    "steps": "steps (100) or a part of the run (0.1)", "text": "a text", "path": "a path",
}


@dataclass
class Arguments:
    """sd-scripts' options as one source gives them.

    Attributes:
        given: values by option, typed; what is not given has sd-scripts' default.
        network: values of `network_args` by name, typed.
        sdxl: whether the SDXL trainer was meant; None = the source does not tell.
        prompts: text of preview prompts that the source holds itself.
        faults: one sentence per value that could not be read.
    """

    given: dict[str, Value] = field(default_factory=dict)
    network: dict[str, Value] = field(default_factory=dict)
    sdxl: bool | None = None
    prompts: str = ""
    faults: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Value:
        """Returns the value of an option, or sd-scripts' default."""
        found = self.given.get(name)
        return OPTIONS[name].default if found is None else found

    def has(self, *names: str) -> bool:
        """Whether any of the options is given with a value that says something (not off, not empty)."""
        return any(self.given.get(name) not in (None, False, "", [], 0) for name in names)


def read(values: Mapping[str, Any], sdxl: bool | None = None) -> Arguments:
    """Returns the arguments of values by option name, as they were written."""
    result = Arguments(sdxl=sdxl)
    for name, value in values.items():
        option = OPTIONS.get(name)
        if option is None:
            result.faults.append(_unknown(name, value, OPTIONS, "an option of sd-scripts' LoRA trainers"))
            continue
        _put(result.given, option, name, value, result.faults)
    for name, text in _pairs(result.given.get("network_args") or [], "network_args", result.faults):
        option = NETWORK_ARGS.get(name)
        if option is None:
            result.faults.append(_unknown(f"network_args: {name}", text, NETWORK_ARGS, "an argument of a network"))
        else:
            _put(result.network, option, f"network_args: {name}", text, result.faults)
    return result


def _put(into: dict[str, Value], option: Option, name: str, value: Value, faults: list[str]) -> None:
    try:
        into[option.name] = typed(option, value)
    except ValueError:
        many = "a list: each " if option.several else ""
        faults.append(f"{name} = {shown(value)}: sd-scripts takes {many}{_EXPECTED[option.kind]} here.")


def typed(option: Option, value: Value) -> Value:
    """Returns a written value as the option's kind; None of nothing.

    Raises:
        ValueError: it is no such value.
    """
    if value is None or value == "None":
        return None
    if not option.several:
        return _one(option.kind, value)
    many = value if isinstance(value, (list, tuple)) else str(value).split()
    return [_one(option.kind, one) for one in many]


def _one(kind: str, value: Value) -> Value:
    if isinstance(value, dict):
        raise ValueError(value)
    if kind == "flag":
        return _flag(value)
    if kind in ("text", "path"):
        return _text(value)
    if value == "":
        return None
    if isinstance(value, (bool, list, tuple)):
        raise ValueError(value)
    if kind == "steps":
        return _steps(value)
    number = float(value)
    if not math.isfinite(number) or (kind == "int" and number != int(number)):
        raise ValueError(value)
    return int(value) if isinstance(value, int) else int(number) if kind == "int" else number


def _flag(value: Value) -> bool:
    read = _SWITCH[value.strip().lower()] if isinstance(value, str) and value.strip().lower() in _SWITCH else value
    if read == "":
        return False
    if isinstance(read, bool) or read in (0, 1):
        return bool(read)
    raise ValueError(value)


def _text(value: Value) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_text(one) for one in value)
    if isinstance(value, bool):
        raise ValueError(value)
    return str(value).strip() if isinstance(value, str) else format(value, "g") if value == value else ""


def _steps(value: Value) -> int | float:
    """Reads `100`, `0.1` or `10%`, as sd-scripts does."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip()[:-1]) / 100
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(value)
    return int(number) if number >= 1 or number == 0 else number


def _pairs(items: Iterable[str], where: str, faults: list[str]) -> list[tuple[str, str]]:
    """Splits `name=value` items; quotes around a value are taken off."""
    pairs = []
    for item in items:
        name, equals, text = item.partition("=")
        if equals:
            pairs.append((name.strip(), text.strip().strip("\"'")))
        else:
            faults.append(f"{where}: {shown(item)} must be written as name=value.")
    return pairs


def _unknown(name: str, value: Value, known: Iterable[str], what: str) -> str:
    near = difflib.get_close_matches(name.rpartition(" ")[2], known, 1)
    return f"{name} = {shown(value)} is not {what}" + (f": did you mean {near[0]}?" if near else "; leave it out.")


def shown(value: object) -> str:
    """Returns a value as a short text for a sentence."""
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
