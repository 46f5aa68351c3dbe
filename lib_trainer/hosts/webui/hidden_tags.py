"""Tags of the adapters in training, kept from the other block-weight script.

That script takes every LoRA tag of a prompt for one of a file, reads its strength by its own rules, and gives what it
read to the loaded files in their order. So it sees a tag of ours without arguments, and behind all others.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib_trainer.host import TRAINING_NAME
from lib_trainer.hosts.webui.generations import OfGeneration

_NAMES = ("lora", "lyco")


class HiddenTags:
    """The arguments of the tags that were hidden; the host may activate the same tags again."""

    def __init__(self) -> None:
        self._items: OfGeneration[list[Any]] = OfGeneration()

    def items(self, params: Any) -> list[Any]:
        """Returns the arguments of a tag as they were written."""
        kept = self._items.get(params)
        return list(params.items) if kept is None else kept

    def hide(self, p: Any, tags: Sequence[Any]) -> None:
        """Takes the arguments of tags away and puts the tags last.

        Args:
            p: the host's processing object, with all tags of its prompts.
            tags: those that name the adapters in training.
        """
        for params in tags:
            if self._items.get(params) is None:
                self._items.put(params, list(params.items))
                params.items[:] = [TRAINING_NAME]
        for data in filter(None, (p.extra_network_data, getattr(p, "hr_extra_network_data", None))):
            for name in _NAMES if tags else ():
                if name in data:
                    data[name].sort(key=lambda params: params.items[:1] == [TRAINING_NAME])
