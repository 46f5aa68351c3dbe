"""What the modules of the command line share: arguments of the form NAME=VALUE, and JSON answers."""
from __future__ import annotations

import json

from lib_trainer.errors import UserError


def pair(text: str, option: str) -> tuple[str, str]:
    """Splits NAME=VALUE.

    Raises:
        UserError: there is no `=` or no name.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"{option} {text!r} must be written as NAME=VALUE.")
    return name.strip(), value


def print_json(value: object) -> None:
    """Prints one line of JSON, at once: whoever reads it may be waiting for it."""
    print(json.dumps(value), flush=True)
