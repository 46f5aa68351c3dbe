"""Has reForge place what a turn runs, clean of LoRAs, through its own memory management.

reForge moves networks between the GPU and main memory as it needs them, may leave layers behind when memory is short,
and merges LoRAs when it places a patcher that has some. Placing the original patcher puts the clean weights back, and
lets reForge know that they are: it merges again by itself when the next picture wants the LoRA. Placing is skipped when
it would change nothing, for it is asked for in every step and empties the GPU's cache.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lib_trainer.errors import UserError

_MEGABYTE = 1024 * 1024


def is_clean(patcher: Any) -> bool:
    """Returns whether the network's weights and objects are the checkpoint's own, wherever they are."""
    merged = patcher.model.current_weight_patches_uuid
    return (merged is None or merged == patcher.patches_uuid) and not patcher.object_patches_backup


def is_placed(patcher: Any) -> bool:
    """Returns whether a network is where it runs, whole and clean."""
    from ldm_patched.modules import model_management

    return (is_clean(patcher) and not patcher.model.model_lowvram
            and any(loaded.model is patcher for loaded in model_management.current_loaded_models))


def place(patchers: Sequence[Any], memory: int) -> None:
    """Has reForge load networks where it runs them, without LoRAs.

    Args:
        patchers: networks that must be there at the same time.
        memory: bytes that their run will need besides; reForge makes room by moving other networks away.

    Raises:
        UserError: a part of them did not fit and stayed in main memory.
    """
    from ldm_patched.modules import model_management

    with torch.inference_mode():  # as in a generation: tensors of both kinds are moved
        model_management.load_models_gpu(list(patchers), memory_required=memory, force_full_load=True)
    for patcher in patchers:
        _require_whole(patcher)


def _require_whole(patcher: Any) -> None:
    """The host would bring missing layers one by one while drawing, but a backward pass needs them all at once."""
    device = patcher.load_device
    left = sum(weight.numel() * weight.element_size() for weight in patcher.model.parameters()
               if weight.device.type != device.type)
    if left:
        raise UserError(
            f"reForge keeps {left / _MEGABYTE:.0f} MB of the {type(patcher.model).__name__} in main memory, because "
            "the GPU's memory is short, and cannot train it like that. Close other programs that use the GPU, or start "
            "reForge without --always-low-vram and --always-no-vram.")
