"""What the block editor asks: the tags of a prompt in numbers, presets, and how strongly a LoRA acts in each block.

All of it only reads, and the page itself needs it, so a WebUI mounts these routes even without its API.
"""
from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Body

from lib_trainer.blocks import places
from lib_trainer.blocks.arguments import arrange
from lib_trainer.blocks.block_lists import BlockList, by_block, find_list
from lib_trainer.blocks.conversion import converted, fitting_length, layout_for
from lib_trainer.blocks.layers import block_of, layer_names
from lib_trainer.blocks.layouts import ARCH_BLOCKS, ARCH_LABELS, LAYOUTS, LORA_BLOCKS
from lib_trainer.blocks.presets import Preset, Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import Tag, split
from lib_trainer.blocks.values import Unreadable, number_text, read_item
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.lora import file as lora_file
from lib_trainer.lora import keys
from lib_trainer.lora.finding import find_lora
from lib_trainer.lora.norms import NormsCache

_PROMPT = Body(embed=True)
_LAYOUTS = {str(length): names for length, names in LAYOUTS.items()}
"""AUTOMATIC1111 writes JSON with orjson, which takes no numbers for keys."""


@dataclasses.dataclass(frozen=True)
class LoraBlocks:
    """What a LoRA file's header tells the editor.

    Attributes:
        path: the file. arch: "sd15" or "sdxl". kind: its algorithm.
        layout: length of the shortest list that names all of its blocks.
        layers: number of layers by block; "" holds the layers in no block.
    """

    path: Path
    arch: str
    kind: str
    layout: int
    layers: Mapping[str, int]

    def facts(self) -> dict[str, Any]:
        """The header's part of the answers."""
        return {"arch": self.arch, "kind": self.kind, "layout": self.layout,
                "layers": {block: count for block, count in self.layers.items() if block},
                "layers_in_no_block": self.layers.get("", 0)}


def add_blocks(router: APIRouter, host: Host) -> None:
    """Adds the editor's routes."""
    cache = NormsCache(host.paths.cache)

    @router.get("/blocks")
    def blocks(lora: str) -> dict[str, Any]:
        """Layers and norm of each block of a LoRA (name as in a tag); the first time a big file takes seconds."""
        found = find(lora, host)
        if found is None:
            raise UserError(f"There is no LoRA named '{lora}' in the LoRA folder: check the name.")
        norms = cache.of(found.path, found.arch)
        return {"name": lora, **found.facts(), "approximate": norms.approximate, "unknown": norms.unknown, "blocks": {
            block: {"layers": count, "norm": norms.norms.get(block, 0.0)}
            for block, count in found.layers.items() if block}}

    @router.get("/block-presets")
    def block_presets(arch: str = "") -> dict[str, Any]:
        """Presets, layouts and the U-Net of an architecture; without `arch` that of the loaded checkpoint."""
        chosen = _known(arch or host.checkpoint().family.arch)
        return {"arch": chosen, "label": ARCH_LABELS[chosen], "layouts": _LAYOUTS, "blocks": ARCH_BLOCKS[chosen],
                "usual": len(LORA_BLOCKS[chosen]),
                "unet": [dataclasses.asdict(place) for place in places.places(chosen)],
                "presets": [_preset(preset, chosen) for preset in host.presets().entries
                            if len(preset.items) in LAYOUTS]}

    @router.post("/block-tags")
    def block_tags(prompt: str = _PROMPT) -> dict[str, Any]:
        """What each LoRA tag of a prompt asks of each block, in the tags' order."""
        presets, counts, answers = host.presets(), Counter[str](), []
        for tag in (tag for tag in split(prompt)[1] if tag.is_lora):
            answers.append(_tag(tag, presets, host, counts[tag.name]))
            counts[tag.name] += 1
        return {"tags": answers}


def find(name: str, host: Host) -> LoraBlocks | None:
    """Returns what the header of a LoRA in the host's folder tells; None where no file there has the name.

    Raises:
        UserError: the file cannot be read; it does not tell its architecture and no checkpoint is loaded.
    """
    path = find_lora(name, host) if name else None
    if path is None or not _inside(path, host.paths.loras):
        return None
    header, metadata = lora_file.read_header(path)
    family = keys.family({tensor: shape for tensor, (_, shape) in header.items()}, metadata)
    arch = keys.ARCH_BY_FAMILY[family] if family else host.checkpoint().family.arch
    names = layer_names(header)
    layers = Counter(block_of(name, arch) or "" for name in names)
    return LoraBlocks(path, arch, keys.algorithm(header), layout_for(names, arch), layers)


def _inside(path: Path, folder: Path) -> bool:
    """Whether a path lies below a folder as written: people put links to other disks into it."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


def _known(arch: str) -> str:
    if arch not in ARCH_BLOCKS:
        raise UserError(f"Unknown architecture '{arch}': use one of {', '.join(ARCH_BLOCKS)}.")
    return arch


def _preset(preset: Preset, arch: str) -> dict[str, Any]:
    """A preset: its items and numbers by block, as its name in a tag means them; `level_items` are those of the same
    levels of the U-Net where it is made for another architecture, else null.
    """
    items = by_block(BlockList(preset.items, preset.name), arch)
    length = fitting_length(len(preset.items), arch)
    own = length == len(preset.items)
    levels = None if own else by_block(BlockList(converted(preset.items, length), preset.name), arch)
    return {"name": preset.name, "length": len(preset.items), "hint": preset.hint, "folklore": preset.folklore,
            "items": items, "values": {block: _number(item) for block, item in items.items()}, "level_items": levels}


def _number(item: str) -> float | None:
    """The number that an item always is; None for X, R and U."""
    try:
        return read_item(item, 0.0) if read_item(item, 0.0) == read_item(item, 1.0) else None
    except Unreadable:
        return None


def _tag(tag: Tag, presets: Presets, host: Host, place: int) -> dict[str, Any]:
    """The answer about one tag, before which `place` others name the same LoRA."""
    told: list[str] = []
    found = None
    try:
        found = find(tag.name, host)
        if found is None and tag.name:
            told.append(f"There is no LoRA named '{tag.name}' in the LoRA folder.")
    except UserError as error:
        told.append(str(error))
    arch = found.arch if found else host.checkpoint().family.arch
    weights = resolve(tag, presets, arch, host.elements(), place=place)
    return {"name": tag.name, "text": tag.text, "arch": arch, "file": found.facts() if found else None,
            **_weights(tag, weights, presets, arch), "errors": [*told, *weights.errors], "warnings": weights.warnings}


def _weights(tag: Tag, weights: Weights, presets: Presets, arch: str) -> dict[str, Any]:
    """The block weights of a tag: as written, its items by block, the numbers they come to, the preset's name.

    `also` holds weights that no block has, in the form that follows a list.
    """
    written = arrange(tag).weights
    preset = presets.get(written, arch) if written else None
    found = find_list(written, presets, arch) if written is not None and weights.ratios is not None else None
    return {"weights": written, "preset": preset.name if preset else None, "ratios": weights.ratios,
            "items": by_block(found, arch) if found else None,
            "also": [f"{name}@{number_text(value)}" for name, value in weights.fine.items()],
            "length": len(found.items) if found and len(found.items) in LAYOUTS else None}
