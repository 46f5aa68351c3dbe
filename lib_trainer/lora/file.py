"""LoRA files: safetensors read and written so that nothing is ever lost or half there.

Reading the header needs no torch, so a folder of LoRAs is listed quickly. Loaded tensors live in memory of their own:
the file may be replaced while they are used. Saving writes a temporary file beside the target, forces it to the disk
and only then gives it the name, without overwriting: a kill or a full disk leaves at most a hidden `.NAME.XXXX.tmp`,
which the next save of the same name removes. The same tensors and metadata give the same bytes.
"""
from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.blocks.layers import block_of
from lib_trainer.blocks.layouts import BLOCKS_26
from lib_trainer.errors import UserError
from lib_trainer.lora import header_check, keys, layout, whole

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER = 100_000_000
"""Bytes; safetensors itself refuses longer headers."""

Header = dict[str, tuple[str, tuple[int, ...]]]
"""Tensor name -> (dtype as safetensors writes it, such as "F16", shape)."""

_SCALAR_CODES = {"F16": ("<e", 2), "BF16": ("<f", 2), "F32": ("<f", 4), "F64": ("<d", 8)}
"""How an alpha is stored: safetensors dtype -> (struct code, bytes)."""


@dataclass(frozen=True)
class LoraFile:
    """A LoRA in memory: its tensors (CPU, as stored) and metadata."""

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_header(path: Path) -> tuple[Header, dict[str, str]]:
    """Returns a file's tensor names with dtype and shape, and its metadata, without reading the tensors.

    Raises:
        UserError: the file is missing, unreadable, truncated or not a safetensors file.
    """
    header, metadata, _ = header_entries(path)
    return {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}, metadata


def load(path: Path) -> LoraFile:
    """Loads a file into memory of its own.

    Raises:
        UserError: as `read_header`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    _, metadata = read_header(path)
    try:
        return LoraFile(path, from_bytes(path.read_bytes()), metadata)
    except SafetensorError as error:
        raise UserError(f"The file '{path}' is damaged ({error}). Use an intact copy.") from error


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], overwrite: bool = False) -> None:
    """Writes a safetensors file completely or not at all.

    Args:
        path: the final file; a missing folder is made.
        tensors: CPU tensors.
        metadata: text by text.
        overwrite: whether an existing file may be replaced (in one step, never half).

    Raises:
        UserError: the name is taken, the disk is full or the folder cannot be written.
    """
    if path.exists() and not overwrite:
        raise whole.taken(path)
    with whole.writing(path, layout.size(tensors, metadata), overwrite) as file:
        for piece in layout.pieces(tensors, metadata):
            file.write(piece)


def serialise(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Returns a safetensors file as bytes: what `save` writes."""
    return b"".join(layout.pieces(tensors, metadata))


def inspect(path: Path) -> dict[str, Any]:
    """Describes a LoRA file, ready for JSON, from its header (and its tensor area's hash); needs no torch.

    Returns:
        `ranks` and `alphas` count layers by value; `blocks` are in layout order, with `layers_in_no_block` beside
        them; `hash_matches` is None where the file stores no `sshs_model_hash`.

    Raises:
        UserError: as `read_header`.
    """
    header, metadata, start = header_entries(path)
    family = keys.family({name: entry["shape"] for name, entry in header.items()}, metadata)
    layers = keys.by_layer(header)
    arch = keys.ARCH_BY_FAMILY.get(family or "")
    blocks = {block_of(layer, arch) for layer in layers} if arch else set()
    found, stored = tensor_hash(path), metadata.get("sshs_model_hash")
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "algorithm": keys.algorithm(header),
        "family": family,
        "arch": arch,
        "tensors": len(header),
        "layers": list(layers),
        "layers_in_no_block": sum(block_of(layer, arch) is None for layer in layers) if arch else None,
        "blocks": [block for block in BLOCKS_26 if block in blocks],
        "ranks": dict(Counter(rank for parts in layers.values() if (rank := keys.rank(parts)))),
        "alphas": dict(Counter(_alphas(path, start, header))),
        "dtypes": dict(Counter(entry["dtype"] for entry in header.values())),
        "tensor_hash": found,
        "hash_matches": None if stored is None else stored == found,
        "metadata": metadata,
    }


def _alphas(path: Path, start: int, header: Mapping[str, Any]) -> list[float]:
    """Returns the alpha of every layer that has one, read straight from the tensor area."""
    values = []
    with path.open("rb") as file:
        for name, entry in header.items():
            if keys.split(name)[1] == keys.ALPHA and entry["dtype"] in _SCALAR_CODES:
                file.seek(start + entry["data_offsets"][0])
                code, width = _SCALAR_CODES[entry["dtype"]]
                # bfloat16 is the upper half of a float32.
                raw = file.read(width).rjust(struct.calcsize(code), b"\0")
                values.append(float(struct.unpack(code, raw)[0]))
    return values


def tensor_hash(path: Path) -> str:
    """Returns the SHA-256 (hex) of a file's tensor area: what `sshs_model_hash` holds.

    Raises:
        UserError: as `read_header`.
    """
    _, _, start = header_entries(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def header_entries(path: Path) -> tuple[dict[str, Any], dict[str, str], int]:
    """Returns the tensors' header entries, the metadata and the offset of the tensor area, checked against the size.

    An entry holds `dtype`, `shape` and `data_offsets`, begin and end in bytes from the start of the tensor area.

    Raises:
        UserError: as `read_header`.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            text = file.read(length) if 2 <= length <= min(MAX_HEADER, size - 8) else b""
    except OSError as error:
        raise UserError(f"Cannot read the file '{path}': {error.strerror}. Check the name and the folder.") from error
    try:
        header = json.loads(text)
        metadata = dict(header.pop("__metadata__", {}))
        header_check.check_types(header, metadata)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"The file '{path}' is not a safetensors file, or it is damaged: its header cannot be read. "
            "Choose an intact LoRA saved as .safetensors."
        ) from error
    _check(path, header, size - 8 - length)
    return header, metadata, 8 + length


def _check(path: Path, header: Mapping[str, Any], area: int) -> None:
    """Checks the entries against each other and against the bytes that are there.

    Raises:
        UserError: they cannot be true.
    """
    wanted = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if wanted != area:
        raise UserError(
            f"The file '{path}' is damaged: {area} bytes where its {len(header)} tensors need {wanted}. "
            "It was probably not copied completely; fetch it again."
        )
    if found := header_check.faults(header, area):
        raise UserError(f"The file '{path}' is damaged: {header_check.in_words(found)}. Nothing of it was read; use an "
                        "intact copy.")
