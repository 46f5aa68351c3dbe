"""A safetensors file as pieces: the header, then the bytes of one tensor after the other where they lie in memory.

Nothing is copied, so a file of gigabytes is written, or its hash worked out, in the memory that its tensors have
already. The tensors come in the order of the safetensors package (wide numbers first, then by name). The header's
entries are sorted: the package keeps metadata in a hash map, whose order differs from run to run, and equal content
shall give equal bytes.
"""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "float8_e5m2": "F8_E5M2", "float8_e4m3fn": "F8_E4M3", "int16": "I16",
    "uint16": "U16", "float16": "F16", "bfloat16": "BF16", "int32": "I32", "uint32": "U32", "float32": "F32",
    "float64": "F64", "int64": "I64", "uint64": "U64",
}
"""torch's dtypes -> safetensors', in the package's order: of the last the tensors come first."""

_ORDER = list(_NAMES)


def pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[memoryview]:
    """Yields a file's bytes.

    Args:
        tensors: CPU tensors. metadata: text by text.

    Raises:
        ValueError: a tensor is of a dtype that the format does not have, or is not contiguous.
    """
    names = sorted(tensors, key=lambda name: (-_ORDER.index(_dtype(name, tensors[name])), name))
    entries: dict[str, Any] = {}
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].numel() * tensors[name].element_size()
        entries[name] = {"data_offsets": [begin, end], "dtype": _NAMES[_dtype(name, tensors[name])],
                         "shape": list(tensors[name].shape)}
    text = header_text(entries, metadata)
    yield memoryview(len(text).to_bytes(8, "little") + text)
    for name in names:
        yield _bytes(name, tensors[name])


def size(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> int:
    """Returns how many bytes the file will have."""
    header = next(pieces(tensors, metadata))
    return len(header) + sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _dtype(name: str, tensor: Tensor) -> str:
    found = str(tensor.dtype).removeprefix("torch.")
    if found not in _NAMES:
        raise ValueError(f"The tensor '{name}' is of the dtype {found}, which safetensors files do not have.")
    return found


def header_text(entries: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    """Returns a header as we write it: the metadata first, all names in sorted order, filled up to 8 bytes.

    Args:
        entries: tensor name -> dtype, shape and data_offsets.
        metadata: text by text.
    """
    described: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    described |= {name: dict(sorted(entries[name].items())) for name in sorted(entries)}
    text = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode("utf8")
    return text + b" " * (-len(text) % 8)


def _bytes(name: str, tensor: Tensor) -> memoryview:
    import torch

    if not tensor.is_contiguous():
        raise ValueError(f"The tensor '{name}' does not lie in one piece: call contiguous() before saving it.")
    return tensor.detach().reshape(-1).view(torch.uint8).numpy().data
