"""The values of our script in a WebUI: of the panel on the page, and of API clients that send them.

Clients of the LoRA Block Weight extension send up to 18 values by their place (`NAMES`). The first of them may instead
be a JSON object, as such or as text:

    {"presets": {"MINE": [1, 0.5, ...]}, "elements": {"SOFT": "IN05-OUT05:attn:0.5"}, "active": true,
     "plot": {"x": ["values", "0,0.5,1"], "y": ["Block ID", "IN05-OUT05"]},
     "analysis": {"range": "0.5,1", "blocks": "17ALL", "seeds": 1, "ground": "black", "threshold": 20, "swap": false}}

Presets and rules given here act in this generation only, before those of the files. Values that are missing or null are
the defaults; what cannot be read becomes a sentence, and the default acts.
"""
from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.values import shortened
from lib_trainer.hosts.webui import script_values
from lib_trainer.hosts.webui.script_values import choice, flag, ignored, text, unknown

NAMES = ("presets", "active", "xyzsetting", "xtype", "xvals", "ytype", "yvals", "ztype", "zvals", "range", "blocks",
         "n_seeds", "diffcolour", "threshold", "swapXY", "elemental", "print_change", "debug")
"""What the values by place are, as clients of the LoRA Block Weight extension know them."""

MODES = ("Disable", "XYZ plot", "Effective Block Analyzer")
OFF, PLOT, ANALYSIS = range(3)

_File = TypeVar("_File", Presets, Elements)

_ANALYSIS = ("range", "blocks", "seeds", "ground", "threshold", "swap")
_OF_ANALYSIS = dict(zip(("range", "blocks", "n_seeds", "diffcolour", "threshold", "swapXY"), _ANALYSIS, strict=True))


@dataclass
class ScriptArgs:
    """The values by meaning.

    Attributes:
        presets: block weights of this generation alone; None = only the file's.
        elements: elemental rules likewise.
        active: whether block weights act at all.
        mode: `OFF`, `PLOT` or `ANALYSIS`.
        axes: type and values of X, Y and Z, as written.
        analysis: what the analysis is asked for, as sent: range, blocks, seeds, ground, threshold, swap.
        faults: sentences about values that cannot be read.
    """

    presets: Presets | None = None
    elements: Elements | None = None
    active: bool = True
    mode: int = OFF
    axes: list[tuple[Any, str]] = field(default_factory=lambda: [("none", "")] * 3)
    analysis: dict[str, object] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def says_something(self) -> bool:
        """Whether anything is asked for."""
        return self.presets is not None or self.elements is not None or not self.active or self.mode != OFF


def read(values: Sequence[Any]) -> ScriptArgs:
    """Reads the values of the script; nothing in them can fail."""
    args = ScriptArgs()
    given = _object(values[0] if values else None, args.faults)
    by_place = dict(zip(NAMES, values, strict=False))
    if given is not None:
        del by_place["presets"]
    _read_places(by_place, args)
    if len(values) > len(NAMES):
        args.faults.append(f"The block weights have {len(NAMES)} values, got {len(values)}: the last "
                           f"{len(values) - len(NAMES)} were ignored.")
    for key, value in (given or {}).items():
        _read_key(str(key), value, args)
    return args


def _object(value: Any, faults: list[str]) -> Mapping[str, Any] | None:
    """Returns the JSON object that stands in the place of the presets; None when there is none."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return None
    try:
        read: Mapping[str, Any] = json.loads(value)
    except (ValueError, RecursionError) as error:
        faults.append(f"The JSON object of the block weights cannot be read ({error}): it was ignored.")
        return {}
    return read


def _read_places(values: Mapping[str, Any], args: ScriptArgs) -> None:
    told = args.faults
    args.presets = _presets(values.get("presets"), told)
    args.elements = _elements(values.get("elemental"), told)
    args.active = flag(values, "active", True, told)
    args.mode = choice(values, "xyzsetting", MODES, told)
    args.axes = [(_kind(values, f"{axis}type", told), text(values, f"{axis}vals", told)) for axis in "xyz"]
    args.analysis = {ours: values[name] for name, ours in _OF_ANALYSIS.items() if values.get(name) is not None}
    for name in ("print_change", "debug"):
        if flag(values, name, False, told):
            told.append(f"'{name}' prints nothing: the numbers of every LoRA are in the picture's parameters.")


def _kind(values: Mapping[str, Any], name: str, told: list[str]) -> str | int:
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else text(values, name, told)


def _read_key(key: str, value: Any, args: ScriptArgs) -> None:
    """Takes one value of the JSON object."""
    told = args.faults
    if key == "presets":
        args.presets = _presets(value, told)
    elif key == "elements":
        args.elements = _elements(value, told)
    elif key == "active":
        args.active = flag({key: value}, key, True, told)
    elif key == "plot" and isinstance(value, Mapping):
        args.mode = PLOT
        args.axes = _axes(value, told)
    elif key == "analysis" and isinstance(value, Mapping):
        args.mode = ANALYSIS
        args.analysis = {name: one for name, one in value.items() if name in _ANALYSIS}
        told += [unknown(f"analysis: {name}", [f"analysis: {one}" for one in _ANALYSIS])
                 for name in value if name not in _ANALYSIS]
    elif key in ("plot", "analysis"):
        told.append(ignored(key, value, "a JSON object"))
    else:
        told.append(unknown(key, ("presets", "elements", "active", "plot", "analysis")))


def _file(key: str, label: str, value: Any, kind: type[_File], between: str, told: list[str]) -> _File | None:
    """Reads presets or rules that were sent, by name or as the text of a file; None where there are none."""
    written = _entries(key, value, between, told)
    if written is None:
        return None
    found = kind.parse(written)
    told += [problem.text for problem in found.problems]
    if not found.entries and not found.problems:
        told.append(f"The {label} that were sent with the picture hold none: {shortened(repr(written))}.")
    _tell_missing(key, value, lambda name: found.get(name) or found.fault(name), told)
    return found


def _presets(value: Any, told: list[str]) -> Presets | None:
    return _file("presets", "presets", value, Presets, "\n", told)


def _elements(value: Any, told: list[str]) -> Elements | None:
    return _file("elements", "elemental rules", value, Elements, "\n\n", told)


def _entries(key: str, value: Any, between: str, told: list[str]) -> str | None:
    """Returns entries by name, or the text of a file, as the text of a file; None where there are none."""
    if isinstance(value, str) or value is None:
        return value.strip() or None if value else None
    if not isinstance(value, Mapping):
        told.append(ignored(key, value, "entries by name, or the text of a file"))
        return None
    lines = []
    for name, content in value.items():
        if isinstance(content, (list, tuple)) and all(map(script_values.is_item, content)):
            content = ",".join(map(str, content))
        if isinstance(content, str):
            lines.append(f"{name}:" + re.sub(r"\s*[\r\n]+\s*", ",", content))
        else:
            told.append(ignored(f"{key}: {name}", content, "a list of numbers, or text"))
    return between.join(lines)


def _tell_missing(key: str, value: Any, find: Callable[[str], object], told: list[str]) -> None:
    """Tells of entries that became none, such as one whose name has a colon."""
    if isinstance(value, Mapping):
        told += [ignored(f"{key}: {name}", content, "one that a file could hold: a name without : and #, and numbers")
                 for name, content in value.items()
                 if script_values.is_listable(content) and not find(str(name))]


def _axes(plot: Mapping[str, Any], told: list[str]) -> list[tuple[Any, str]]:
    axes: list[tuple[Any, str]] = [("none", "")] * 3
    for name, axis in plot.items():
        if name not in ("x", "y", "z"):
            told.append(unknown(f"plot: {name}", ("plot: x", "plot: y", "plot: z")))
        elif not isinstance(axis, (list, tuple)) or len(axis) != 2:
            told.append(ignored(f"plot: {name}", axis, 'a type and values, such as ["values", "0,0.5,1"]'))
        else:
            axes["xyz".index(name)] = (_kind({"type": axis[0]}, "type", told), _values(name, axis[1], told))
    return axes


def _values(name: str, values: Any, told: list[str]) -> str:
    if isinstance(values, (list, tuple)) and all(map(script_values.is_item, values)):
        return ",".join(map(str, values))
    return text({f"plot: {name}": values}, f"plot: {name}", told)
