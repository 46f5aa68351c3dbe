"""Nested state as JSON beside tensors, and back: nothing is rounded, nothing is executed.

A state is dicts (with keys of any kind), lists, tuples, sets, numbers, texts and tensors inside each other, as PyTorch
makes them (`state_dict`). Tensors go to a safetensors file under running numbers; all else becomes JSON, whose numbers
Python writes and reads without loss. (Pickle would run whatever a file from elsewhere tells it to.)
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from lib_trainer.errors import UserError


def pack(value: object, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Returns a value as JSON can hold it; its tensors are added to `tensors`, on the CPU.

    Raises:
        UserError: an object of a kind that cannot be written.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        number = str(len(tensors))
        tensors[number] = _own(value)
        return {"tensor": number}
    if isinstance(value, Mapping):
        return {"dict": [[pack(key, tensors), pack(entry, tensors)] for key, entry in value.items()]}
    for kind, name in ((tuple, "tuple"), ((list, deque), "list"), ((set, frozenset), "set")):
        if isinstance(value, kind):  # type: ignore[arg-type]
            return {name: [pack(entry, tensors) for entry in _entries(value)]}
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of numpy
        return pack(value.item(), tensors)
    raise UserError(f"A state cannot hold a {type(value).__name__} (an optimiser or schedule keeps one).")


def unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    """Returns the value that `pack` was given; a deque comes back as a list.

    Raises:
        KeyError, TypeError, ValueError: this was not made by `pack`.
    """
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {unpack(key, tensors): unpack(entry, tensors) for key, entry in content}
    entries = [unpack(entry, tensors) for entry in content]
    return {"tuple": tuple, "list": list, "set": set}[kind](entries)


def _entries(value: Any) -> Iterable[object]:  # noqa: ANN401
    return sorted(value) if isinstance(value, (set, frozenset)) else value


def _own(tensor: Tensor) -> Tensor:
    """Returns a copy in memory of its own, as safetensors wants it."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format).contiguous()
