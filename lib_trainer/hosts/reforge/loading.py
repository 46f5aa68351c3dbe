"""Has reForge load a checkpoint through its own loader, and say which one it has."""
from __future__ import annotations

import pickle
from collections.abc import Hashable
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.hosts.reforge.loaded import in_memory
from lib_trainer.hosts.webui import checkpoints


def identity() -> Hashable:
    """Returns what tells the loaded checkpoint from any other: its file and its text encoder's; None = none loaded."""
    from modules import sd_text_encoder

    model = in_memory()
    if model is None:
        return None
    other = sd_text_encoder.current_text_encoder_option
    return model.filename, getattr(other, "label", "")


def load(path: Path) -> None:
    """Under the lock: chooses a checkpoint and loads it, as the list at the top of the page would.

    Raises:
        UserError: there is no such file, or reForge cannot load it.
    """
    from modules import sd_models
    from modules.shared import opts
    from safetensors import SafetensorError

    info = checkpoints.record(path)
    former = opts.sd_model_checkpoint
    # every picture loads what is chosen, so the choice goes with it; the setting's own callback would wait for the lock
    opts.set("sd_model_checkpoint", info.title, is_api=True, run_callbacks=False)
    try:
        sd_models.reload_model_weights(info=info)
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ImportError,
            SafetensorError, pickle.UnpicklingError) as error:
        opts.set("sd_model_checkpoint", former, is_api=True, run_callbacks=False)
        raise UserError(f"reForge cannot load '{path.name}' ({type(error).__name__}: {error}). Choose another "
                        "checkpoint.") from error
