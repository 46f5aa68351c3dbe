"""Block weights in a picture's parameters: written as numbers, and put back when the parameters are pasted.

The prompt keeps its tags as they were written, so a preset's name stays a name. What the name meant stands beside it:
`LoRA block weights: "m4_carbine: NCNF=1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"`. When such parameters are pasted and the
preset says something else by now (or is gone), the tag gets the numbers in place of the name, so that the picture is
drawn again as it was; a preset that still says the same stays a name.
"""
from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_trainer.blocks.layouts import ARCH_BLOCKS, LORA_BLOCKS, expand
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import Tag, rewritten, split
from lib_trainer.blocks.values import looks_like_item
from lib_trainer.blocks.writing import Parts, numbers

FIELD = "LoRA block weights"
HIRES_FIELD = "Hires LoRA block weights"
FAULTS_FIELD = "LoRA block weights ignored"
"""Why weights were not applied; beside the comments, which the hosts' API keeps to itself."""

_LIST = r"-?[0-9.]+(?:[eE][+-]?[0-9]+)?(?:,-?[0-9.]+(?:[eE][+-]?[0-9]+)?)*"
_ENTRY = re.compile(rf"(?P<name>.+?): (?:(?P<label>[^=;]+)=)?(?P<numbers>{_LIST})(?:; |$)")


@dataclass(frozen=True)
class Entry:
    """One LoRA of the field: its name, and the block weights as numbers."""

    name: str
    numbers: str


def note(p: Any, loras: Sequence[Weights]) -> None:
    """Writes the resolved block weights into the picture's parameters, and what could not be understood."""
    faults = " ".join(dict.fromkeys(error for weights in loras for error in weights.errors))
    if faults:
        p.extra_generation_params[FAULTS_FIELD] = faults
    text = "; ".join(_entry(weights) for weights in loras if weights.ratios is not None)
    if not text:
        return
    if not getattr(p, "is_hr_pass", False):
        p.extra_generation_params[FIELD] = text
    elif p.extra_generation_params.get(FIELD) != text:
        p.extra_generation_params[HIRES_FIELD] = text


def forget(p: Any) -> None:
    """Takes out what was written, before a pass begins: batches, and the cells of a plot, share the parameters."""
    p.extra_generation_params.pop(HIRES_FIELD, None)
    if not getattr(p, "is_hr_pass", False):
        p.extra_generation_params.pop(FIELD, None)
        p.extra_generation_params.pop(FAULTS_FIELD, None)


def _entry(weights: Weights) -> str:
    arch = next(arch for arch, blocks in ARCH_BLOCKS.items() if weights.ratios and len(blocks) == len(weights.ratios))
    text = numbers(weights.ratios or {}, arch)
    label = weights.label.strip()
    is_list = looks_like_item(label) or any(mark in label for mark in ",;=")
    return f"{weights.name}: {text}" if is_list else f"{weights.name}: {label}={text}"


def entries(text: str) -> list[Entry]:
    """Reads the field."""
    return [Entry(found["name"], found["numbers"]) for found in _ENTRY.finditer(text)]


def pasted(params: MutableMapping[str, Any], presets: Callable[[], Presets]) -> None:
    """Puts the block weights of pasted parameters back into their prompts.

    Args:
        params: the parameters by name, as the host has read them; changed in place.
        presets: the presets as they are now.
    """
    for prompt, field in (("Prompt", FIELD), ("Hires prompt", HIRES_FIELD)):
        if params.get(prompt) and params.get(field):
            params[prompt] = restored(params[prompt], entries(str(params[field])), presets())


def restored(prompt: str, recorded: Sequence[Entry], presets: Presets) -> str:
    """Returns the prompt with numbers in the place of block weights that do not mean what they meant.

    Tags and entries are matched in their order; a host that renames a LoRA's tag on paste does no harm then.
    """
    weighted = [tag for tag in split(prompt)[1] if _is_weighted(tag)]
    if len(weighted) != len(recorded):
        by_name = {entry.name: entry for entry in recorded}
        matches = [by_name.get(tag.name) for tag in weighted]
    else:
        matches = list(recorded)
    following = iter(matches)

    def write(tag: Tag) -> str:
        entry = next(following) if _is_weighted(tag) else None
        if entry is None or _means(tag, entry, presets):
            return tag.text
        return str(Parts.of(tag).with_weights(entry.numbers))

    return rewritten(prompt, write)


def _is_weighted(tag: Tag) -> bool:
    return tag.is_lora and Parts.of(tag).weights is not None


def _means(tag: Tag, entry: Entry, presets: Presets) -> bool:
    """Whether a tag still gives the recorded numbers, on the architecture whose number of blocks they have."""
    values = [float(value) for value in entry.numbers.split(",")]
    for arch, blocks in ARCH_BLOCKS.items():
        if len(values) == 1:
            wanted = dict.fromkeys(blocks, values[0])
        elif len(values) in (len(blocks), len(LORA_BLOCKS[arch])):
            named = expand(values, len(values))
            wanted = {block: named[block] for block in blocks}
        else:
            continue
        if resolve(tag, presets, arch).ratios == wanted:
            return True
    return False
