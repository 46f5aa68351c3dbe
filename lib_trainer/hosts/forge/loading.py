"""Which checkpoint Forge has, and having it load one.

Forge loads late: choosing a checkpoint only writes down loading parameters, and the next picture loads what they name.
The checkpoint meant here is always the chosen one, for that is what the page shows; a turn loads it through Forge's own
loader when it is not in memory yet. Forge unloads the former model first and then believes, when loading fails, that
the former one is still there: so what it believes is corrected here.
"""
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.hosts.webui import checkpoints


def chosen_file() -> Path:
    """Returns the file of the chosen checkpoint.

    Raises:
        UserError: none is chosen.
    """
    info = _parameters().get("checkpoint_info")
    if info is None:
        raise UserError("Forge has no checkpoint chosen. Choose one at the top of the page.")
    return Path(info.filename)


def identity() -> str:
    """Returns what tells the chosen checkpoint from any other: file, VAE and storage."""
    return str(_parameters())


def in_memory() -> Any | None:
    """Returns the chosen checkpoint's model; None when it is not in memory."""
    from modules.sd_models import model_data

    if model_data.forge_hash != identity() or not hasattr(model_data.sd_model, "forge_objects"):
        return None
    return model_data.sd_model


def chosen_model() -> Any:
    """Under the lock: returns the chosen checkpoint's model, loaded when it is not in memory.

    Raises:
        UserError: Forge cannot load it.
    """
    from modules import sd_models
    from safetensors import SafetensorError

    name = chosen_file().name
    if not hasattr(sd_models.model_data.sd_model, "forge_objects"):
        sd_models.model_data.forge_hash = ""
    try:
        engine, _ = sd_models.forge_model_reload()
    except (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError,
            SafetensorError, pickle.UnpicklingError) as fault:
        raise UserError(f"Forge could not load '{name}': {fault}. Choose another checkpoint.") from fault
    finally:
        if sd_models.model_data.sd_model is None:
            sd_models.model_data.forge_hash = ""
    return engine


def load(path: Path) -> None:
    """Under the lock: chooses a checkpoint and loads it; when that fails the former one is chosen and loaded again.

    Raises:
        UserError: there is no such file, or Forge cannot load it.
    """
    from modules.shared import opts

    info, former = checkpoints.record(path), opts.sd_model_checkpoint
    _choose(info.title)
    try:
        chosen_model()
    except UserError:
        _choose(former)
        chosen_model()
        raise


def _choose(title: str) -> None:
    from modules_forge import main_entry

    main_entry.checkpoint_change(title, save=False, refresh=False)
    main_entry.refresh_model_loading_parameters()


def _parameters() -> dict[str, Any]:
    from modules.sd_models import model_data

    return model_data.forge_loading_parameters
