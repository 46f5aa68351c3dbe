"""A LoRA with other words about itself: entries set or taken out, all but the needed ones dropped, private ones gone.

A new file is written; the tensors are copied as bytes and never decoded, the hashes are worked out anew. Without a
place to write to, the same table says what would change.
"""
from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora import file, layout, whole
from lib_trainer.lora.metadata import MODEL_HASH
from lib_trainer.workbench import hashes, new_lora, private_metadata
from lib_trainer.workbench.operation import Operation, Outcome, Progress, finish

KEEPS = ("all", "needed")
LEGACY_HASH, HASH_OF_TENSORS = "sshs_legacy_hash", "modelspec.hash_sha256"
_HASHES = (MODEL_HASH, LEGACY_HASH, HASH_OF_TENSORS)
_PIECE = 1 << 20
_SHOWN = 200
"""Characters of a value that the table shows."""


@dataclass(frozen=True)
class MetadataOrder:
    """What is to be changed.

    Attributes:
        source: a .safetensors file; it stays as it is.
        out: the new file; None = only tell what would change.
        put: entries to set.
        remove: entries to take out; a * stands for any letters.
        keep: "all" others, or those that are "needed" to load the LoRA.
        privacy: whether folders, tags, names of files, comments, times and paths go.
    """

    source: Path
    out: Path | None = None
    put: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    keep: str = "all"
    privacy: bool = False


def preview(order: MetadataOrder) -> Outcome:
    """Tells what would change; nothing is written.

    Raises:
        UserError: as `run`.
    """
    return finish(run(MetadataOrder(order.source, None, order.put, order.remove, order.keep, order.privacy)))


def run(order: MetadataOrder) -> Operation:
    """Writes the file with its new metadata, or tells what would be in them.

    Raises:
        UserError: the order or the file cannot be; every fault of the order at once.
    """
    if order.out is not None:
        new_lora.require_new(order.out)
    yield Progress(0, 1, "Reading")
    header, before, start = file.header_entries(order.source)
    _check(order, before)
    after, why = _edited(order, before)
    after |= _hashes(order.source, after)
    rows = _rows(before, after, why)
    notes = [] if before.get(MODEL_HASH) in (None, after[MODEL_HASH]) else [
        "The hash in the file was not that of its tensors: they were changed after it was written. It is right now."]
    facts: dict[str, Any] = {"entries_before": len(before), "entries": len(after), "changed": len(rows)}
    if not rows:
        return Outcome(None, facts, [], [*notes, "Nothing would change: no file was written."])
    if order.out is None:
        facts["summary"] = f"{len(rows)} entries would change, {len(before)} become {len(after)}; nothing was written."
        return Outcome(None, facts, rows, notes)
    text = layout.header_text(header, after)
    yield from _copied(order.source, order.out, len(text).to_bytes(8, "little") + text, start)
    size = order.out.stat().st_size
    facts |= {"bytes": size, "summary": f"{order.out.name}: {size / 1e6:.1f} MB; {len(rows)} entries changed, "
                                        f"{len(before)} became {len(after)}; the tensors are the same bytes."}
    return Outcome(order.out, facts, rows, notes)


def _check(order: MetadataOrder, before: Mapping[str, str]) -> None:
    """Checks the order against the file.

    Raises:
        Problems: all that cannot be.
    """
    faults = [] if order.keep in KEEPS else [f"Keep is '{order.keep}': choose {' or '.join(KEEPS)}."]
    faults += [f"There is no entry '{pattern}' to take out. The file has: {', '.join(sorted(before)) or 'none'}."
               for pattern in order.remove if not fnmatch.filter(before, pattern)]
    faults += [f"'{key}' is worked out from the tensors and cannot be set." for key in order.put if key in _HASHES]
    faults += ["An entry needs a name." for key in order.put if not key.strip()]
    for key, text in order.put.items():
        try:
            (key + text).encode("utf8")
        except UnicodeEncodeError:
            faults.append(f"The entry {key!r} holds half a character, which no file can store.")
    if faults:
        raise Problems(faults)


def _edited(order: MetadataOrder, before: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the new metadata without hashes of their own, and why entries are gone or changed."""
    kept: dict[str, str] = dict(before)
    why: dict[str, str] = {}
    if order.privacy:
        kept, why = private_metadata.without(kept, (order.out or order.source).stem)
    if order.keep == "needed":
        why |= {key: "not needed" for key in kept if key not in private_metadata.NEEDED}
        kept = {key: text for key, text in kept.items() if key in private_metadata.NEEDED}
    gone = [key for pattern in order.remove for key in fnmatch.filter(kept, pattern)]
    why |= {key: "asked for" for key in (*gone, *order.put)}
    kept = {key: text for key, text in kept.items() if key not in gone}
    return kept | dict(order.put), why


def _hashes(source: Path, after: Mapping[str, str]) -> dict[str, str]:
    """Returns the hashes of the new file."""
    found = file.tensor_hash(source)
    told = {MODEL_HASH: found, LEGACY_HASH: hashes.legacy(source, after)}
    return told | ({HASH_OF_TENSORS: f"0x{found}"} if HASH_OF_TENSORS in after else {})


def _rows(before: Mapping[str, str], after: Mapping[str, str], why: Mapping[str, str]) -> list[dict[str, Any]]:
    """Returns a row for every entry that is not as it was: entry, before, after, why."""
    keys = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    return [{"entry": key, "before": _cut(before.get(key, "")), "after": _cut(after.get(key, "")),
             "why": why.get(key, "hash" if key in _HASHES else "")} for key in keys]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ... ({len(text)} characters)"


def _copied(source: Path, out: Path, head: bytes, start: int) -> Iterator[Progress]:
    """Writes a header and the bytes of the source's tensors."""
    size = source.stat().st_size - start
    with whole.writing(out, len(head) + size) as written, source.open("rb") as opened:
        written.write(head)
        opened.seek(start)
        done = 0
        while piece := opened.read(_PIECE):
            written.write(piece)
            done += len(piece)
            yield Progress(done >> 20, max(1, size >> 20), "Writing")
        if done != size:
            raise UserError(f"The file '{source}' became shorter while it was read: try again when it is complete.")
