"""How written settings become field values: JSON, TOML, `--set key=value` and the texts of a form.

Values are read by the field's own declaration (type, range, choices); names may be ours or kohya's, and sections of a
file are only headings. Nothing is guessed: what cannot be read becomes one sentence with the name, the value and the
remedy, and all such sentences are handed back together.
"""
from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

_KOHYA_WORDS = {
    ("precision", "no"): "fp32", ("interpolation", "linear"): "bilinear", ("interpolation", "cubic"): "bicubic",
}
"""sd-scripts' words for a choice that has another word here."""


class _Unreadable(Exception):
    """What a value should have been."""


def read(
    fields: Sequence[dataclasses.Field[Any]], values: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str], frozenset[str]]:
    """Reads values by our names or kohya's.

    Args:
        fields: the fields of the config, with the metadata of `config.setting`.
        values: what was written; a mapping under an unknown name is a section and is read as if it were flat.

    Returns:
        the readable values by field name, one sentence per fault, the names of the fields at fault.
    """
    if not isinstance(values, Mapping):
        return {}, [f"Settings must be written as names with values, not as {_shown(values)}."], frozenset()
    names = _names(fields)
    result: dict[str, Any] = {}
    faults: list[str] = []
    bad: set[str] = set()
    for key, value in _flat(_without_kohya_switches(values), names):
        field = names.get(key)
        if field is None:
            faults.append(_unknown(key, names))
        elif field.name in result or field.name in bad:
            bad.add(field.name)
            faults.append(f"{key} = {_shown(value)}: {field.metadata['label']} is given twice; leave one of them out.")
        else:
            try:
                result[field.name] = _value(field, value)
            except _Unreadable as expected:
                bad.add(field.name)
                faults.append(f"{key} = {_shown(value)}: {field.metadata['label']} must be {expected}.")
    return {name: value for name, value in result.items() if name not in bad}, faults, frozenset(bad)


def overridden(
    fields: Sequence[dataclasses.Field[Any]], values: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the values with those of `changes` in their place, whichever of its names a setting was given by."""
    names = _names(fields)
    replaced = {names[key].name for key in changes if key in names}
    kept = {key: value for key, value in _flat(_without_kohya_switches(values), names)
            if key not in names or names[key].name not in replaced}
    return {key: value for key, value in kept.items() if key not in changes} | dict(changes)


def read_file(path: Path) -> dict[str, Any]:
    """Returns the settings written in a `.toml` or `.json` file.

    Raises:
        UserError: the file is missing, unreadable, of another kind or not well-formed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The settings file {path} cannot be read ({error}): give TOML or JSON in UTF-8.") from None
    kind = path.suffix.lower()
    if kind not in (".toml", ".json"):
        raise UserError(f"The settings file {path} ends in '{kind}': only .toml and .json are read.")
    try:
        values = parse_toml(text) if kind == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        windows = kind == ".toml" and "\\" in text
        remedy = " TOML wants Windows paths in single quotes, or with / in place of \\." if windows else ""
        raise UserError(f"The settings file {path} is not valid {kind[1:].upper()}: {error}.{remedy}") from None
    if not isinstance(values, dict):
        raise UserError(f"The settings file {path} must hold an object {{...}} with settings, not {_shown(values)}.")
    return values


def write_file(path: Path, values: Mapping[str, Any]) -> None:
    """Writes settings as JSON under a temporary name, then renames: an interrupted write leaves the old file whole.

    Raises:
        UserError: the name does not end in .json, or the file cannot be written.
    """
    if path.suffix.lower() != ".json":
        raise UserError(f"Settings are written as JSON: give a name that ends in .json instead of '{path.name}'.")
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf8", dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = file.name
            json.dump(values, file, indent=2, ensure_ascii=False)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise UserError(f"The settings cannot be written to {path} ({error.strerror}): choose another place.") from None


def parse_toml(text: str) -> dict[str, Any]:
    """Parses TOML: the standard library's parser since Python 3.11, its twin `tomli` before."""
    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib
    return tomllib.loads(text)


def _without_kohya_switches(values: Mapping[str, Any]) -> dict[str, Any]:
    """Writes sd-scripts' settings that have no field of their own as ours: the two `only` switches, `network_args`."""
    result = dict(values)
    for switch, other in (
        ("network_train_unet_only", "train_text_encoder"), ("network_train_text_encoder_only", "train_unet")
    ):
        if isinstance(result.get(switch), bool) and other not in result and result.pop(switch):
            result[other] = False
    arguments = result.get("network_args")
    if isinstance(arguments, list) and all(isinstance(item, str) and "=" in item for item in arguments):
        del result["network_args"]
        result.update(item.split("=", 1) for item in arguments)
    return result


def _names(fields: Sequence[dataclasses.Field[Any]]) -> dict[str, dataclasses.Field[Any]]:
    """Returns the fields by our names and by kohya's."""
    return {f.name: f for f in fields} | {f.metadata["kohya"]: f for f in fields if f.metadata["kohya"]}


def _flat(values: Mapping[str, Any], names: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Returns all pairs, those of sections included, in the order written."""
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and key not in names:
            pairs += _flat(_without_kohya_switches(value), names)
        else:
            pairs.append((str(key), value))
    return pairs


def _unknown(key: str, names: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, names, 1)
    remedy = f"did you mean '{near[0]}'?" if near else "there is nothing like it; leave it out."
    return f"Unknown setting {_shown(key)}: {remedy}"


def _shown(value: object) -> str:
    """Returns the value as a short text for a sentence."""
    try:
        text = repr(value)
    except ValueError:
        text = "a number of thousands of digits"
    return text if len(text) <= 100 else text[:97] + "..."


def _value(field: dataclasses.Field[Any], value: object) -> bool | int | float | str:
    """Returns the value as the field's type, within its range and choices.

    Raises:
        _Unreadable: with what was expected.
    """
    readers: dict[str, Callable[[dataclasses.Field[Any], object], bool | int | float | str]] = {
        "bool": _bool, "int": _number, "float": _number, "str": _text
    }
    return readers[str(field.type)](field, value)


def _bool(field: dataclasses.Field[Any], value: object) -> bool:
    read = _WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(read, bool):
        raise _Unreadable("true or false")
    return read


def _number(field: dataclasses.Field[Any], value: object) -> int | float:
    whole = field.type == "int"
    expected = _range(field, "a whole number" if whole else "a number")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _Unreadable(expected)
    try:
        number: int | float = _whole(value) if whole else float(value)
    except (ValueError, OverflowError):
        raise _Unreadable(expected) from None
    least, greatest = field.metadata["minimum"], field.metadata["maximum"]
    outside = (least is not None and number < least) or (greatest is not None and number > greatest)
    if outside or (isinstance(number, float) and not math.isfinite(number)):
        raise _Unreadable(expected)
    return number


def _whole(value: int | float | str) -> int:
    """Returns the whole number that 5, 5.0, "5" or "5.0" (as number boxes send) stand for."""
    if isinstance(value, str):
        value = float(value) if "." in value or "e" in value.lower() else int(value)
    if value != int(value):
        raise ValueError(value)
    return int(value)


def _range(field: dataclasses.Field[Any], what: str) -> str:
    least, greatest = field.metadata["minimum"], field.metadata["maximum"]
    if least is not None and greatest is not None:
        return f"{what} from {least:.10g} to {greatest:.16g}"
    if least is not None:
        return f"{what}, {least:.10g} or more"
    return what


def _text(field: dataclasses.Field[Any], value: object) -> str:
    several = field.metadata["lines"] > 1
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        value = ("\n" if several else _separator(field)).join(map(str, value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = _shown(value)
    if not isinstance(value, str):
        raise _Unreadable("a text")
    text = value.strip()
    if field.metadata["path"]:
        text = os.path.expanduser(text.strip("\"'").strip())
    if any(ord(sign) < 32 and not (several and sign in "\r\n\t") for sign in text) or not _encodable(text):
        raise _Unreadable("a text without control characters")
    return _choice(field, text)


def _separator(field: dataclasses.Field[Any]) -> str:
    """sd-scripts writes `resolution = [512, 768]` but `optimizer_args = ["a=1", "b=2"]`."""
    return " " if field.name.endswith("_args") else ","


def _encodable(text: str) -> bool:
    """Whether the text can be written as UTF-8 (JSON may carry half of a surrogate pair)."""
    return not any(0xD800 <= ord(sign) <= 0xDFFF for sign in text)


def _choice(field: dataclasses.Field[Any], text: str) -> str:
    choices: tuple[str, ...] = field.metadata["choices"]
    text = _KOHYA_WORDS.get((field.name, text), text)
    if choices and text not in choices:
        near = difflib.get_close_matches(text, choices, 1)
        raise _Unreadable("one of " + ", ".join(choices) + (f" (did you mean {near[0]}?)" if near else ""))
    return text
