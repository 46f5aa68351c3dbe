"""How a setting is declared: a dataclass field whose metadata carry all that the faces need.

Label, help, group, kohya's name, choices, range: the tab, the CLI, the API and the TOML/JSON files are generated from
them.
"""
from __future__ import annotations

import dataclasses
from typing import TypeVar

T = TypeVar("T", bool, int, float, str)

GROUPS = (
    "Start", "Method", "Data", "Captions", "Network", "Network details", "Blocks", "Steps and learning rate",
    "Noise and loss", "Memory", "Saving", "Resume", "Validation", "Previews",
)
"""The folds of the form, in the order a trainer of LoRAs expects; "Start" is the first screen."""

MAX_SEED = 2**53 - 1
"""Greatest seed: the greatest whole number that JavaScript and JSON carry exactly."""


def setting(
    default: T,
    label: str,
    help: str,
    group: str,
    kohya: str = "",
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    lines: int = 1,
    path: bool = False,
    part: str = "",
) -> T:
    """Declares a field of `TrainConfig` with all that its faces need.

    Args:
        default: value of an untouched form.
        label: short name on the page.
        help: what it does, what to choose; shown beside the control.
        group: one of GROUPS.
        kohya: sd-scripts' name where it differs from the field's.
        choices: allowed words.
        minimum: least allowed number. maximum: greatest.
        lines: height of a text control; only texts of several lines may contain line ends.
        path: whether the text is a file or folder (quotes around it are taken off, `~` is the home folder).
        part: fold inside the group's fold, for what few people need; "" = seen as soon as the group is opened.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "label": label, "help": help, "group": group, "kohya": kohya, "choices": choices,
            "minimum": minimum, "maximum": maximum, "lines": lines, "path": path,
            "part": part,
        },
    )
