"""Whether a safetensors header can be true: every number in it is a stranger's, and readers allocate by them.

A header names for each tensor a dtype, a shape and where its bytes begin and end. It is believed only when shapes and
bytes agree and the tensors lie one after the other without gap or overlap (the format's own rule), so that no more
memory is ever taken than the file has bytes. Standard library only.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}
"""Bits of one number by dtype, as safetensors 0.6 knows them."""

_SHOWN = 3
"""Faults that are told in full; of the rest the number."""


def check_types(header: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Checks that a header has the form of one.

    Args:
        header: tensor name -> entry. metadata: the file's.

    Raises:
        TypeError, ValueError, KeyError: it has not, or holds text that cannot be written again.
    """
    if not all(isinstance(text, str) for text in metadata.values()):
        raise TypeError("metadata that are no text")
    for texts in (metadata.keys(), metadata.values(), header.keys()):
        for text in texts:
            text.encode("utf8")  # JSON can hold halves of characters
    for entry in header.values():
        begin, end = entry["data_offsets"]
        if not isinstance(entry["dtype"], str) or not all(type(side) is int for side in (*entry["shape"], begin, end)):
            raise TypeError("dtype, shape or offsets are of the wrong type")


def faults(header: Mapping[str, Any], area: int) -> list[str]:
    """Returns what cannot be true of a header of the right form; [] = nothing.

    Args:
        header: tensor name -> entry.
        area: bytes behind the header.
    """
    found = [fault for name, entry in header.items() if (fault := _of_one(name, entry, area))]
    return found or _order(header)


def _of_one(name: str, entry: Mapping[str, Any], area: int) -> str:
    """Returns what is wrong with one entry by itself; "" = nothing."""
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end:
        return f"the tensor '{name}' is said to lie from byte {begin} to {end}"
    if end > area:
        return f"the tensor '{name}' is said to end at byte {end} of {area}"
    if any(side < 0 for side in entry["shape"]):
        return f"the tensor '{name}' has the shape {entry['shape']}"
    bits = BITS.get(entry["dtype"])
    if bits is not None and -(-math.prod(entry["shape"]) * bits // 8) != end - begin:
        return f"the tensor '{name}' has {end - begin} bytes, which {entry['dtype']} {entry['shape']} is not"
    return ""


def _order(header: Mapping[str, Any]) -> list[str]:
    """Returns where two tensors overlap, or bytes belong to none."""
    place, found = 0, []
    for (begin, end), name in sorted((tuple(entry["data_offsets"]), name) for name, entry in header.items()):
        if begin != place:
            what = "overlaps the one before it" if begin < place else f"leaves {begin - place} bytes before it unused"
            found.append(f"the tensor '{name}' {what}")
        place = max(place, end)
    return found


def in_words(found: list[str]) -> str:
    """Returns faults as part of a sentence."""
    rest = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + rest
