"""Block weights in a picture's parameters: written as numbers, and put back when the parameters are pasted.

The prompt keeps its tags as they were written, so a preset's name stays a name. What the names meant stands beside it:
`LoRA block weights: "m4_carbine: NCNF=1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"` and, for elemental rules,
`LoRA elemental rules: "m4_carbine: ATTNDEEPOFF=IN05-OUT05/attn@0"`. When such parameters are pasted and a name says
something else by now (or is gone), or the weights were drawn at random, the tag gets the numbers in place of the name,
so that the picture is drawn again as it was; a name that still says the same stays a name.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import Tag, rewritten, split
from lib_trainer.blocks.values import looks_like_item
from lib_trainer.blocks.writing import Parts, numbers

FIELD = "LoRA block weights"
RULES_FIELD = "LoRA elemental rules"
FAULTS_FIELD = "LoRA block weights ignored"
"""Why weights were not applied; beside the comments, which the hosts' API keeps to itself."""

NO_PRESETS = Presets.parse("")

_NUMBER = r"-?[0-9.]+(?:[eE][+-]?[0-9]+)?"
_LIST = rf"{_NUMBER}(?:,(?:[A-Z0-9]+@)?{_NUMBER})*"
_ENTRY = re.compile(rf"(?P<name>.+?): (?:(?P<label>[^=;]+)=)?(?P<meaning>{_LIST})(?:; |$)")
_RULES_ENTRY = re.compile(r"(?P<name>.+?): (?:(?P<label>[^=;/@]+)=)?(?P<meaning>[^;:]*@[^;:]+)(?:; |$)")


@dataclass(frozen=True)
class Entry:
    """One LoRA of a field: its name, and what it was given, as a tag takes it: numbers, or rules."""

    name: str
    meaning: str


def fields(loras: Sequence[Weights]) -> dict[str, str]:
    """Returns the fields of a picture's parameters by name, those that there is something to say in."""
    found = {
        FIELD: "; ".join(_weights_entry(weights) for weights in loras if weights.ratios is not None),
        RULES_FIELD: "; ".join(_rules_entry(weights) for weights in loras if weights.rules),
        FAULTS_FIELD: " ".join(dict.fromkeys(error for weights in loras for error in weights.errors)),
    }
    return {name: text for name, text in found.items() if text}


def _weights_entry(weights: Weights) -> str:
    arch = next(arch for arch, blocks in ARCH_BLOCKS.items() if weights.ratios and len(blocks) == len(weights.ratios))
    text = numbers(weights.ratios or {}, arch, weights.fine)
    label = weights.label.strip()
    is_list = looks_like_item(label) or any(mark in label for mark in ",;=@")
    return f"{weights.name}: {text}" if is_list else f"{weights.name}: {label}={text}"


def _rules_entry(weights: Weights) -> str:
    text = ",".join(str(rule) for rule in weights.rules)
    label = weights.rules_label.strip()
    return f"{weights.name}: {text}" if any(mark in label for mark in ",;=/@") else f"{weights.name}: {label}={text}"


def entries(text: str) -> list[Entry]:
    """Reads the field of block weights."""
    return [Entry(found["name"], found["meaning"]) for found in _ENTRY.finditer(text)]


def rules_entries(text: str) -> list[Entry]:
    """Reads the field of elemental rules."""
    return [Entry(found["name"], found["meaning"]) for found in _RULES_ENTRY.finditer(text)]


def restored(prompt: str, recorded: Mapping[str, str], presets: Presets, elements: Elements) -> str:
    """Returns the prompt with numbers and rules in the place of names that do not mean what they meant.

    Tags and entries are matched in their order; a host that renames a LoRA's tag on paste does no harm then.

    Args:
        recorded: the fields by name, FIELD and RULES_FIELD where the picture has them.
        presets, elements: what names stand for now.
    """
    prompt = _restored(prompt, entries(recorded.get(FIELD, "")), _is_weighted,
                       lambda tag, entry: _with_numbers(tag, entry, presets))
    return _restored(prompt, rules_entries(recorded.get(RULES_FIELD, "")), _is_ruled,
                     lambda tag, entry: _with_rules(tag, entry, elements))


def _restored(
    prompt: str, recorded: Sequence[Entry], is_meant: Callable[[Tag], bool], write: Callable[[Tag, Entry], str]
) -> str:
    if not recorded:
        return prompt
    meant = [tag for tag in split(prompt)[1] if is_meant(tag)]
    by_name = {entry.name: entry for entry in recorded}
    matches = list(recorded) if len(meant) == len(recorded) else [by_name.get(tag.name) for tag in meant]
    following = iter(matches)

    def written(tag: Tag) -> str:
        entry = next(following) if is_meant(tag) else None
        return tag.text if entry is None else write(tag, entry)

    return rewritten(prompt, written)


def _is_weighted(tag: Tag) -> bool:
    return tag.is_lora and Parts.of(tag).weights is not None


def _is_ruled(tag: Tag) -> bool:
    return tag.is_lora and "lbwe" in tag.named


def _with_numbers(tag: Tag, entry: Entry, presets: Presets) -> str:
    return tag.text if _means(tag, entry, presets) else str(Parts.of(tag).with_weights(entry.meaning))


def _with_rules(tag: Tag, entry: Entry, elements: Elements) -> str:
    rules = resolve(tag, NO_PRESETS, "sd15", elements).rules
    return tag.text if ",".join(map(str, rules)) == entry.meaning else str(Parts.of(tag).with_rules(entry.meaning))


def _means(tag: Tag, entry: Entry, presets: Presets) -> bool:
    """Whether a tag still gives the recorded weights, on an architecture that they are for."""
    (as_numbers,) = split(f"<lora:x:lbw={entry.meaning}>")[1]
    for arch in ARCH_BLOCKS:
        recorded, now = resolve(as_numbers, NO_PRESETS, arch), resolve(tag, presets, arch)
        fits = not recorded.warnings and not recorded.errors
        if fits and (recorded.ratios, recorded.fine) == (now.ratios, now.fine) and not now.is_random:
            return True
    return False
