"""Arguments of a class as sd-scripts writes them: `betas=0.9,0.999 weight_decay=0 decouple=True`.

Optimisers and schedules are classes of other people's; what a person writes for them is read here as Python literals
and held against the class's signature before anything is made.
"""
from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lib_trainer.errors import UserError

_PIP_NAMES = {"prodigyplus": "prodigy-plus-schedule-free"}
"""Packages whose name for pip is not that of the module with dashes."""


def parse(text: str, what: str) -> dict[str, Any]:
    """Reads arguments; commas between them and parentheses round several values are welcome.

    Args:
        text: as typed, such as `betas=(0.9, 0.99), d0=1e-06`.
        what: begins the sentences, such as "Optimiser arguments".

    Raises:
        UserError: names the part that cannot be read.
    """
    beginning, *rest = re.split(r"(?:^|(?<=[\s,]))([A-Za-z_]\w*)\s*=", text)
    if beginning.strip(" ,\t\r\n"):
        raise UserError(
            f"{what}: '{beginning.strip()}' is not an argument. Write name=value, such as betas=0.9,0.999 "
            "weight_decay=0.01."
        )
    parsed: dict[str, Any] = {}
    for name, written in zip(rest[::2], rest[1::2], strict=True):
        value = written.strip(" ,\t\r\n")
        try:
            parsed[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise UserError(
                f"{what}: '{name}={value}' has no value that can be read. Write numbers, True, False or None, several "
                "numbers with commas, and text in quotes."
            ) from error
    return parsed


def names(callable_: Callable[..., Any], own: Sequence[str]) -> list[str]:
    """Returns the names of the arguments that a person may give a class: all but ours."""
    return [
        parameter.name for parameter in inspect.signature(callable_).parameters.values()
        if parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        and parameter.name not in own
    ]


def unknown(what: str, owner: str, given: str, allowed: Sequence[str]) -> str:
    """Returns the sentence for an argument that the class does not have; names near ones."""
    near = difflib.get_close_matches(given, allowed, n=3)
    return f"{what}: {owner} has no '{given}'. " + (
        f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(allowed) or 'none'}."
    )


def load_class(path: str, what: str) -> type[Any]:
    """Imports a class.

    Args:
        path: "package.module:Class".
        what: what it is for, such as "optimiser CAME".

    Raises:
        UserError: its package is not installed or cannot start, or has no such class.
    """
    module, _, name = path.partition(":")
    package = module.partition(".")[0]
    try:
        imported = importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        # bitsandbytes raises OSError or RuntimeError where its CUDA library does not fit the machine.
        raise UserError(
            f"The {what} needs the package '{package}', which cannot be used here ({error}). Install it with "
            f"'pip install {_PIP_NAMES.get(package, package.replace('_', '-'))}', or choose another one."
        ) from error
    loaded = getattr(imported, name, None)
    if not isinstance(loaded, type):
        near = difflib.get_close_matches(name, dir(imported), n=3)
        raise UserError(
            f"The {what}: the module '{module}' has no class '{name}'"
            + (f"; did you mean {' or '.join(near)}?" if near else ". Write package.module.Class.")
        )
    return loaded


def shown(arguments: Mapping[str, Any]) -> str:
    """Returns arguments as a person would write them."""
    return " ".join(f"{key}={value!r}" for key, value in arguments.items())
