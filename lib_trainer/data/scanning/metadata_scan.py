"""Captions in one metadata file instead of a text file beside every picture (sd-scripts' `--in_json`).

A `.json` file maps pictures to what is known of them, `{"a.png": {"caption": "a cat", "tags": "cat, sitting"}}`; a
`.jsonl` file has one object a line, `{"image_path": "a.png", "caption": ...}`. What a picture trains with is the
caption, the separator and the tags. A name may lack its ending, as sd-scripts' tools write it.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from lib_trainer.data.item import Item
from lib_trainer.data.scanning import scan_sentences as sentences
from lib_trainer.data.scanning.gathering import Found, Gathered, Scan, gather
from lib_trainer.data.scanning.listing import list_folder
from lib_trainer.data.scanning.names import clean_path, natural_key, readable_endings
from lib_trainer.data.scanning.opening import UnreadablePicture, read_size
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError


def scan_metadata(
    file: Path | str, folder: Path | str = "", *, subset: Subset | None = None, trigger: str = ""
) -> Scan:
    """Lists the pictures of a metadata file with size and caption.

    Args:
        file: the metadata, as typed by a person.
        folder: what paths of pictures are relative to; empty = all of them are absolute.
        subset: what the pictures have in common, None = nothing special; its name and root are set here.
        trigger: caption of pictures without caption and tags.

    Raises:
        UserError: the file cannot be read or names no usable picture.
    """
    path = clean_path(file)
    root = clean_path(folder) if folder else Path()
    shared = replace(subset or Subset(""), name=path.name, root=root, class_tokens=trigger, metadata=True)
    known, faults = _read_file(path)
    if not folder and (relative := next((name for name in known if not Path(name).is_absolute()), None)):
        raise UserError(f"The metadata file {str(path)!r} names pictures such as {relative!r} without their folder: "
                        "give the picture folder, too.")
    captions = {name: _caption(values, shared) for name, values in known.items()}
    gathered = Gathered()
    finding = _file_finder(root)
    gather(sorted(known, key=natural_key), root, partial(_read, shared, captions, finding), gathered)
    if not gathered.items:
        reasons = "".join(f" {skip.path}: {skip.reason}." for skip in gathered.skipped[:3])
        raise UserError(f"The metadata file {str(path)!r} names no usable picture; check its paths and the picture "
                        f"folder.{reasons}")
    bare = [item.path for item in gathered.items if not item.caption]
    return Scan(gathered.items, gathered.skipped, faults, sentences.uncaptioned_in(path, bare))


def _read_file(path: Path) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Returns what is known of every picture, and a sentence per fault."""
    if path.suffix.lower() not in (".json", ".jsonl"):
        raise UserError(f"The metadata file {str(path)!r} ends in {path.suffix!r}: give a .json or .jsonl file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The metadata file {str(path)!r} cannot be read ({error}): check its path, and that it is "
                        "UTF-8.") from None
    read = _lines if path.suffix.lower() == ".jsonl" else _object
    known: dict[str, Mapping[str, Any]] = {}
    faults = []
    for place, name, values in read(path, text):
        fault = _fault(name, values)
        if fault:
            faults.append(f"{path}, {place}: {fault}")
        else:
            known[name] = values
    return known, sentences.first_few(faults)


def _object(path: Path, text: str) -> Iterator[tuple[str, Any, Any]]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"The metadata file {str(path)!r} is not valid JSON: {error}.") from None
    if not isinstance(values, dict):
        raise UserError(f"The metadata file {str(path)!r} must hold an object {{\"picture\": {{\"caption\": ...}}}}.")
    for name, value in values.items():
        yield repr(name), name, value


def _lines(path: Path, text: str) -> Iterator[tuple[str, Any, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            value = f"not valid JSON ({error})"
        yield f"line {number}", value.get("image_path") if isinstance(value, dict) else None, value


def _fault(name: object, values: object) -> str:
    if not isinstance(values, dict):
        return f"it must be an object with a caption or tags, not {values!r:.100}."
    if not isinstance(name, str) or not name:
        return "its image_path must be the path of the picture."
    for key in ("caption", "tags"):
        if not isinstance(values.get(key), (str, type(None))):
            return f"{key} = {values[key]!r:.100} must be a text."
    return ""


def _caption(values: Mapping[str, Any], subset: Subset) -> str:
    """Returns caption and tags of one picture as one text; with wildcards every line of the caption has the tags."""
    rules = subset.captions
    lines = [line for part in (values.get("caption") or "").splitlines() if (line := part.strip())]
    tags = rules.separator.join(filter(None, map(str.strip, (values.get("tags") or "").splitlines())))
    if not rules.wildcards:
        lines = lines[:1]
    return "\n".join(rules.separator.join(filter(None, (line, tags))) for line in lines or [""])


def _file_finder(root: Path) -> Callable[[str], Path | None]:
    """Returns a function that finds the file of a name, which may lack its ending."""
    endings = readable_endings()

    @cache
    def by_stem(folder: Path) -> dict[str, str]:
        try:
            names = list_folder(folder).files
        except UserError:
            return {}
        return {Path(name).stem: name for name in reversed(names) if Path(name).suffix.lower() in endings}

    def find(name: str) -> Path | None:
        path = root / name
        if path.suffix.lower() in endings:
            return path
        known = by_stem(path.parent).get(path.name)
        return path.parent / known if known else None

    return find


def _read(
    subset: Subset, captions: Mapping[str, str], finding: Callable[[str], Path | None], name: str
) -> Found:
    path = finding(name)
    if path is None:
        return Found(skip="there is no picture of this name")
    try:
        size = read_size(path)
    except UnreadablePicture as error:
        return Found(skip=str(error))
    file = path.relative_to(subset.root).as_posix() if path.is_relative_to(subset.root) else path.as_posix()
    return Found(Item(subset, file, captions[name] or subset.class_tokens, *size, captioned=bool(captions[name])))
