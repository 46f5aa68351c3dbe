"""Block weights in the parameters of a WebUI's pictures: written in every pass, and put back when they are pasted.

What the fields say is `blocks.recorded`'s business. The hires pass has fields of its own, written where it differs.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from lib_trainer.blocks import recorded
from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.recorded import FAULTS_FIELD, FIELD, RULES_FIELD
from lib_trainer.blocks.resolve import Weights

_HIRES: Mapping[str, str] = {FIELD: f"Hires {FIELD}", RULES_FIELD: f"Hires {RULES_FIELD}"}

FIELDS = (FIELD, RULES_FIELD, FAULTS_FIELD, *_HIRES.values())
"""Every field of ours."""


def note(p: Any, loras: Sequence[Weights]) -> None:
    """Writes the resolved block weights into the picture's parameters, and what could not be understood."""
    is_hires = getattr(p, "is_hr_pass", False)
    for name, text in recorded.fields(loras).items():
        if not is_hires or name not in _HIRES:
            p.extra_generation_params[name] = text
        elif p.extra_generation_params.get(name) != text:
            p.extra_generation_params[_HIRES[name]] = text


def forget(p: Any) -> None:
    """Takes out what was written, before a pass begins: batches, and the cells of a plot, share the parameters."""
    for name in _HIRES.values() if getattr(p, "is_hr_pass", False) else FIELDS:
        p.extra_generation_params.pop(name, None)


def pasted(
    params: MutableMapping[str, Any], presets: Callable[[], Presets], elements: Callable[[], Elements]
) -> None:
    """Puts the block weights of pasted parameters back into their prompts.

    Args:
        params: the parameters by name, as the host has read them; changed in place.
        presets, elements: what names stand for now; asked only where there is something to put back.
    """
    for prompt, names in (("Prompt", {}), ("Hires prompt", _HIRES)):
        found = {name: params.get(names.get(name, name)) or params.get(name) for name in (FIELD, RULES_FIELD)}
        told = {name: str(text) for name, text in found.items() if text}
        if params.get(prompt) and told:
            params[prompt] = recorded.restored(params[prompt], told, presets(), elements())
