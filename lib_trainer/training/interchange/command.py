"""A pasted command line, such as `accelerate launch train_network.py --network_dim 8 ...`, read and written.

Options are read as Python's argparse reads them: unique beginnings are enough, `--name=value` and `--name value` are
the same, lists end with the next option, and of an option given twice the last one counts.
"""
from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.training.interchange import shell
from lib_trainer.training.interchange.arguments import shown
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.option import Value

SCRIPT, SDXL_SCRIPT = "train_network.py", "sdxl_train_network.py"

_SCRIPT = re.compile(r"(?:^|[\\/])((?:\w+_)?train\w*|fine_tune)(?:\.py)?$")
_QUIET = {"num_cpu_threads_per_process", "mixed_precision", "num_processes", "num_machines", "dynamo_backend"}
"""Options of `accelerate launch` whose usual values change nothing."""


@dataclass
class Command:
    """A command.

    Attributes:
        values: by option, as written (True for a switch, a list for an option that takes one).
        sdxl: whether it runs the SDXL trainer; None = no script is named.
        told: what of it means nothing here. faults: what cannot be understood.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sdxl: bool | None = None
    told: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def looks_like_one(text: str) -> bool:
    """Whether a text is a command: it runs a training script, or holds options of one."""
    return bool(re.search(r"\btrain\w*\.py\b|\bfine_tune\.py\b", text)
                or re.search(r"(?:^|\s)--[a-z][a-z0-9_]+(?:[\s=]|$)", text))


def read(text: str) -> Command:
    """Reads a command.

    Raises:
        UserError: there is no training command in the text, or several.
    """
    kind = shell.kind_of(text)
    found = shell.lines(text, kind)
    names = shell.assignments(found)
    candidates = [line for line in found if looks_like_one(line)]
    if len(candidates) != 1:
        what = f"{len(candidates)} training commands" if candidates else "no training command"
        raise UserError(f"The text holds {what}: give one, such as accelerate launch train_network.py --...")
    try:
        words = [shell.filled(word, names) for word in shell.words(candidates[0], kind)]
    except ValueError as error:
        raise UserError(f"The command cannot be read as {kind} ({error}): mend its quotation marks.") from None
    return _read(words)


def _read(words: list[str]) -> Command:
    command = Command()
    places = [place for place, word in enumerate(words) if _SCRIPT.search(word)]
    start = places[0] if places else -1
    if places:
        _script(command, words[start])
    _launcher(command, words[:max(start, 0)])
    rest = words[start + 1:]
    while rest and not rest[0].startswith("--"):
        rest = rest[1:]
    read_options(command, rest)
    return command


def _script(command: Command, word: str) -> None:
    name = re.split(r"[\\/]", word)[-1].removesuffix(".py") + ".py"
    command.sdxl = name == SDXL_SCRIPT
    if name not in (SCRIPT, SDXL_SCRIPT):
        command.faults.append(f"{name}: only LoRAs of SD 1, SD 2 and SDXL are trained here "
                              f"({SCRIPT} and {SDXL_SCRIPT}).")


def _launcher(command: Command, words: Iterable[str]) -> None:
    """Tells which options of `accelerate launch` are lost."""
    names = [word[2:].partition("=")[0] for word in words if word.startswith("--")]
    lost = [name for name in names if name not in _QUIET]
    if lost:
        command.told.append(f"accelerate launch --{' --'.join(lost)}: how many processes run is said where the "
                            "training is started (accelerate launch -m lib_trainer train ...).")


def read_options(command: Command, words: list[str]) -> None:
    """Adds options, given as words, to a command."""
    while words:
        word, *words = words
        name, equals, text = word[2:].partition("=")
        option = _found(name, command.faults) if word.startswith("--") else None
        count = next((place for place, one in enumerate(words) if one.startswith("--")), len(words))
        values, words = words[:count], words[count:]
        if option is None:
            if not word.startswith("--"):
                command.faults.append(f"{shown(word)} belongs to no option: leave it out.")
            continue
        _take(command, option, ([text] if equals else []) + values)


def _take(command: Command, name: str, texts: list[str]) -> None:
    option = OPTIONS[name]
    for text in texts:
        command.faults += [f"--{name} {text}: {variable} is a name of the script; write its value instead."
                           for variable in shell.unknown_names(text)]
    if option.several:
        command.values[name] = texts
    elif option.kind == "flag":
        command.values[name] = True
        if texts:
            command.faults.append(f"--{name} {' '.join(texts)}: it is a switch and takes no value; leave it out "
                                  "altogether to switch it off.")
    elif len(texts) != 1:
        command.faults.append(f"--{name} {' '.join(texts)}".rstrip()
                              + f": it takes one value, not {len(texts)}; put quotes around a value with spaces.")
    else:
        command.values[name] = texts[0]


def _found(name: str, faults: list[str]) -> str | None:
    """Returns the option that a name or its beginning stands for."""
    if name in OPTIONS:
        return name
    fitting = [known for known in OPTIONS if known.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    near = fitting or difflib.get_close_matches(name, OPTIONS, 1)
    faults.append(f"--{name} is not an option of sd-scripts' LoRA trainers"
                  + (f": did you mean --{' or --'.join(near[:4])}?" if near else "; leave it out."))
    return None


def write(values: Mapping[str, Value], sdxl: bool, kind: str = shell.BASH) -> str:
    """Returns the command of options, one option per line, as a shell takes it."""
    script = SDXL_SCRIPT if sdxl else SCRIPT
    parts = [f"accelerate launch --num_cpu_threads_per_process 1 {script}"]
    for name, value in values.items():
        if value is True:
            parts.append(f"--{name}")
        elif value is not False:
            many = value if isinstance(value, list) else [value]
            parts.append(" ".join([f"--{name}", *(shell.quoted(_word(one), kind) for one in many)]))
    mark = {shell.BASH: "\\", shell.POWERSHELL: "`", shell.CMD: "^"}[kind]
    return f" {mark}\n  ".join(parts) + "\n"


def _word(value: Value) -> str:
    return value if isinstance(value, str) else repr(value)
