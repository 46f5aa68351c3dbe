"""Files of prompts as LECO's users have them: p1atdev's YAML, and sd-scripts' TOML with `prompts` or `targets`.

A list of entries (or `[[prompts]]`) are concepts to be erased or enhanced: target, positive, unconditional, neutral,
action, guidance_scale, resolution, batch_size, multiplier, weight. `targets` are sliders: target_class, positive,
negative. A .txt file has lines as the form has. What an entry says and is not done here is a sentence, never left out
unseen.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib_trainer.data.concepts import Concept
from lib_trainer.errors import Problems, UserError
from lib_trainer.training import config_values
from lib_trainer.training.methods import concept_lines
from lib_trainer.training.methods.concept_lines import Defaults, Row, cut
from lib_trainer.training.rules.data import parse_resolution

_LARGEST = 1_000_000
"""Bytes of a file that is read; prompts take hundreds."""

_ENDINGS = (".yaml", ".yml", ".toml", ".json", ".txt")
_COMMON = ("guidance_scale", "resolution", "batch_size", "neutral", "neutrals", "weight", "multiplier", "action",
           "dynamic_resolution", "dynamic_crops")
_NOT_DONE = {
    "dynamic_resolution": "sizes are not drawn at random here; write the entry once for every resolution",
    "dynamic_crops": "crops are not drawn at random here; leave it out",
}


def read(path: Path, defaults: Defaults) -> list[Row]:
    """Returns what a file asks for.

    Raises:
        Problems: it cannot be read, or what is wrong with its entries, all of them.
    """
    kind, text = path.suffix.lower(), _text(path)
    if kind == ".txt":
        return _each([(line, line) for line in concept_lines.lines(text)],
                     lambda line: [concept_lines.row(line, defaults)], path)
    content = _parsed(path, kind, text)
    if isinstance(content, list):
        content = {"prompts": content}
    if not isinstance(content, Mapping):
        raise Problems([f"{_named(path)} holds neither a list of prompts nor 'prompts' or 'targets'."])
    return _rows(content, path, defaults)


def _text(path: Path) -> str:
    if path.suffix.lower() not in _ENDINGS:
        raise Problems([f"{_named(path)} must end in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}."])
    try:
        if path.stat().st_size > _LARGEST:
            raise Problems([f"{_named(path)} has {path.stat().st_size:,} bytes, far more than prompts take: give "
                            "another file."])
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problems([f"{_named(path)} cannot be read ({error}): give a text file in UTF-8."]) from None


def _parsed(path: Path, kind: str, text: str) -> object:
    import yaml

    try:
        if kind == ".toml":
            return config_values.parse_toml(text)
        return json.loads(text) if kind == ".json" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise Problems([f"{_named(path)} is not valid {kind[1:].upper()}: {error}."]) from None


def _rows(content: Mapping[str, Any], path: Path, defaults: Defaults) -> list[Row]:
    """Returns the rows of `prompts` and `targets`; what stands beside them holds for all."""
    common = {key: value for key, value in content.items() if key not in ("prompts", "targets")}
    foreign = [key for key in common if key not in _COMMON]
    if foreign:
        raise Problems([f"{_named(path)}: '{foreign[0]}' is no part of a file of prompts: there are prompts, targets, "
                        f"{', '.join(_COMMON)}."])
    found = _each(_named_entries(content, "prompts", path), lambda entry: [_prompt({**common, **entry}, defaults)],
                  path)
    found += _each(_named_entries(content, "targets", path), lambda entry: _targets({**common, **entry}, defaults),
                   path)
    if not found:
        raise Problems([f"{_named(path)} holds no prompts: write a list of entries with 'target', or [[prompts]]."])
    return found


def _named_entries(content: Mapping[str, Any], name: str, path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    entries = content.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise Problems([f"{_named(path)}: '{name}' must be a list of entries, such as - target: \"hat\"."])
    return [(f"{name}[{number}]", entry) for number, entry in enumerate(entries, 1)]


def _each(entries: Sequence[tuple[str, Any]], read_one: Callable[[Any], list[Row]], path: Path) -> list[Row]:
    rows: list[Row] = []
    faults: list[str] = []
    for where, entry in entries:
        try:
            rows += read_one(entry)
        except UserError as error:
            faults.append(f"{_named(path)}, {cut(where)}: {error}")
    if faults:
        raise Problems(faults)
    return rows


def _prompt(entry: Mapping[str, Any], defaults: Defaults) -> Row:
    """Reads an entry of LECO's own form."""
    values = _values(entry, ("target", "positive", "unconditional", "neutral", "action"))
    if not values.get("target"):
        raise UserError("'target' is missing: write the prompt whose concept is changed.")
    target, unconditional = values["target"], values.get("unconditional", "")
    action = concept_lines.action("action", values.get("action", defaults.action))
    guidance = _guidance(entry, defaults) * (-1.0 if action == concept_lines.ERASE else 1.0)
    one = Concept(target, values.get("neutral", unconditional), values.get("positive", target), unconditional, guidance,
                  _strength(entry), label=f"{action} {target}")
    return _row((one,), entry)


def _targets(entry: Mapping[str, Any], defaults: Defaults) -> list[Row]:
    """Reads a slider, once for every neutral prompt."""
    values = _values(entry, ("target_class", "positive", "negative"))
    positive, negative = values.get("positive", ""), values.get("negative", "")
    if not (positive or negative):
        raise UserError("'positive' and 'negative' are both missing: a slider needs one of them.")
    neutrals = entry.get("neutrals", [entry.get("neutral", "")])
    if not isinstance(neutrals, list) or not all(isinstance(one, str) for one in neutrals):
        raise UserError("'neutrals' must be a list of prompts.")
    found = []
    for neutral in neutrals:
        ends = concept_lines.slider(values.get("target_class", ""), positive, negative, _guidance(entry, defaults),
                                    neutral)
        found.append(_row(tuple(replace(one, strength=one.strength * _strength(entry),
                                        label=f"{negative} <-> {positive}") for one in ends), entry))
    return found


def _values(entry: Mapping[str, Any], texts: Sequence[str]) -> dict[str, str]:
    """Returns the texts of an entry after looking at all its names."""
    for key, reason in _NOT_DONE.items():
        if entry.get(key):
            raise UserError(f"{key} = {entry[key]!r}: {reason}.")
    unknown = [key for key in entry if key not in (*texts, *_COMMON)]
    if unknown:
        raise UserError(f"'{unknown[0]}' is no part of an entry: there are {', '.join((*texts, *_COMMON))}.")
    for key in texts:
        if key in entry and not isinstance(entry[key], str):
            raise UserError(f"{key} = {cut(repr(entry[key]))}: a prompt is a text in quotes.")
    return {key: entry[key].strip() for key in texts if key in entry}


def _guidance(entry: Mapping[str, Any], defaults: Defaults) -> float:
    return concept_lines.number("guidance_scale", entry.get("guidance_scale", defaults.guidance), 0.0)


def _strength(entry: Mapping[str, Any]) -> float:
    return concept_lines.strength("multiplier", entry.get("multiplier", 1.0))


def _row(concepts: tuple[Concept, ...], entry: Mapping[str, Any]) -> Row:
    size = None
    if "resolution" in entry:
        asked = entry["resolution"]
        # sd-scripts writes height before width.
        text = f"{asked[1]},{asked[0]}" if isinstance(asked, list) and len(asked) == 2 else str(asked)
        size = parse_resolution(text)
    batch = int(concept_lines.number("batch_size", entry.get("batch_size", 0), 0.0, whole=True))
    return Row(concepts, concept_lines.number("weight", entry.get("weight", 1.0), 0.0), size, batch)


def _named(path: Path) -> str:
    return f"The prompts file {path}"
