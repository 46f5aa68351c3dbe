"""What forbids training in Forge, and what to switch off."""
from __future__ import annotations

from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.hosts.forge import loading

_QUANTISED = ("nf4", "fp4", "gguf")
"""Storage in which a weight is no ordinary tensor."""


def found() -> list[str]:
    """Returns a sentence per obstacle; empty = nothing forbids training."""
    from modules.sd_models import model_data

    stored = model_data.forge_loading_parameters.get("unet_storage_dtype")
    sentences = [_quantised(stored)] if stored in _QUANTISED else []
    engine = loading.in_memory()
    if not sentences and engine is not None:
        sentences += in_model(engine)
    return sentences + _little_memory()


def in_model(engine: Any) -> list[str]:
    """Returns the obstacles of a model in memory."""
    stored = engine.forge_objects_original.unet.model.storage_dtype
    return [_quantised(stored)] if stored in _QUANTISED else []


def require_trainable(engine: Any) -> None:
    """Raises a UserError when a model in memory cannot be trained."""
    if sentences := in_model(engine):
        raise UserError(" ".join(sentences))


def _quantised(stored: str) -> str:
    return (f"The U-Net is stored as {stored}, which cannot be trained. Set 'Diffusion in Low Bits' to 'Automatic' or "
            "a float8 kind, or choose a checkpoint that is stored in 8 or more bits.")


def _little_memory() -> list[str]:
    from backend import memory_management

    state = memory_management.vram_state.name
    if state not in ("LOW_VRAM", "NO_VRAM"):
        return []
    option = "--always-low-vram" if state == "LOW_VRAM" else "--always-no-vram"
    return [f"Forge was started with {option} and keeps layers in main memory, where a backward pass does not find "
            f"them. Start it without {option}."]
