"""The record of a folded strength in a file's metadata, and the way back.

The record is believed only where the file's tensors are still those that were written with it (their hash tells).
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lib_trainer.lora import file, keys
from lib_trainer.lora.metadata import MODEL_HASH
from lib_trainer.workbench.folded import Origin, unfold
from lib_trainer.workbench.reading import ReadLora
from lib_trainer.workbench.record import PREFIX

if TYPE_CHECKING:
    from torch import Tensor

KEY = f"{PREFIX}folded"
"""Metadata key: {"kinds": [origin, ...], "layers": {layer: number of its kind}}; layers not named are of kind 0."""


def recorded(metadata: Mapping[str, str], origins: Mapping[str, Origin]) -> dict[str, str]:
    """Returns a file's metadata with the record of what was folded; without, where nothing was."""
    kept = {key: text for key, text in metadata.items() if key != KEY}
    if not origins:
        return kept
    kinds = list(dict.fromkeys(origins.values()))
    layers = {layer: kinds.index(origin) for layer, origin in origins.items()}
    told = {"kinds": [kind.to_json() for kind in kinds], "layers": layers}
    return kept | {KEY: json.dumps(told, separators=(",", ":"))}


def undone(lora: ReadLora) -> ReadLora:
    """Returns a LoRA as it was before its strength was folded; one without a (true) record stays as it is."""
    if KEY not in lora.metadata:
        return lora
    metadata = {key: text for key, text in lora.metadata.items() if key != KEY}
    try:
        origins = _origins(lora.metadata[KEY])
        if lora.metadata.get(MODEL_HASH) != file.tensor_hash(lora.path):
            raise ValueError("its tensors have been changed since")
        tensors = _unfolded(lora.tensors, origins)
    except (ValueError, KeyError, TypeError, IndexError, RuntimeError, RecursionError) as error:
        note = (f"The record of how this file was converted does not fit it ({error}): its factors are taken as they "
                "are.")
        return replace(lora, metadata=metadata, notes=[*lora.notes, note])
    return replace(lora, metadata=metadata, tensors=tensors)


def _origins(text: str) -> dict[str, Origin]:
    told = json.loads(text)
    kinds = [Origin.from_json(kind) for kind in told["kinds"]]
    return {str(layer): kinds[number] for layer, number in told["layers"].items()}


def _unfolded(tensors: Mapping[str, Tensor], origins: Mapping[str, Origin]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for layer, parts in keys.by_layer(tensors).items():
        if layer in origins:
            parts = {**parts, **unfold(parts, origins[layer])}
        found |= {f"{layer}.{part}": tensor for part, tensor in parts.items()}
    return found
