"""Has Forge place what a turn runs, clean of LoRAs, through its own memory management.

Forge moves networks between the GPU and main memory as it needs them, may leave layers behind when memory is short, and
merges LoRAs when it places a patcher that has some. Placing the original patcher puts the clean weights back, and lets
Forge know that they are: it merges again by itself when the next picture wants the LoRA. Placing is skipped when it
would change nothing, for it is asked for in every step.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lib_trainer.errors import UserError

_NOTHING_MERGED = str([])
"""What a `LoraLoader` says of itself when no LoRA is merged."""

_MEGABYTE = 1024 * 1024


class Placement:
    """Remembers what Forge had placed after the last call, so that the same again costs nothing."""

    def __init__(self) -> None:
        self._settled: tuple[tuple[int, ...], int] = ((), -1)

    def is_settled(self, patchers: Sequence[Any], memory: int) -> bool:
        """Returns whether nothing has moved since these were placed with at least this much room."""
        order, room = self._settled
        placed = _loaded()
        return (order == tuple(map(id, placed)) and memory <= room
                and all(any(model is patcher for model in placed) and is_clean(patcher) for patcher in patchers))

    def place(self, patchers: Sequence[Any], memory: int) -> None:
        """Has Forge load networks where it runs them, without LoRAs.

        The room is asked for as what the run requires, not as a reserve (`hard_memory_preservation`): for a reserve
        that is too big Forge would leave layers of these very networks behind.

        Args:
            patchers: networks that must be there at the same time.
            memory: bytes that their run will need besides; Forge makes room by moving other networks away.

        Raises:
            UserError: a part of them did not fit and stayed in main memory.
        """
        from backend import memory_management

        with torch.inference_mode():
            memory_management.load_models_gpu(list(patchers), memory_required=memory)
        for patcher in patchers:
            if not is_clean(patcher):  # loaded already, and only said to have a LoRA merged that has changed
                patcher.refresh_loras()
            require_whole(patcher)
        self._settled = tuple(map(id, _loaded())), memory


def _loaded() -> list[Any]:
    from backend import memory_management

    return [loaded.model for loaded in memory_management.current_loaded_models]


def is_clean(patcher: Any) -> bool:
    """Returns whether no LoRA is merged into a network's weights, or applied while it runs."""
    return patcher.lora_loader.loaded_hash == _NOTHING_MERGED


def require_whole(patcher: Any) -> None:
    """Raises a UserError when layers of a placed network are not on the device where it runs.

    Forge would bring them there layer by layer, but a backward pass finds them gone.
    """
    device = patcher.load_device
    left = sum(weight.numel() * weight.element_size() for weight in patcher.model.parameters()
               if weight.device.type != device.type)
    if left:
        raise UserError(
            f"Forge keeps {left / _MEGABYTE:.0f} MB of the {type(patcher.model).__name__} in main memory, because the "
            "GPU's memory is short, and cannot train it like that. Raise 'GPU Weights (MB)' at the top of the page, "
            "close other programs that use the GPU, or start Forge without --always-low-vram and --always-no-vram.")
