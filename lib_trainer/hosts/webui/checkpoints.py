"""The host's list of checkpoints, and what a file among them is without loading it."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Checkpoint


def files() -> list[Path]:
    """Returns the checkpoint files that the host lists, sorted by name."""
    from modules import sd_models

    found = {Path(info.filename) for info in sd_models.checkpoints_list.values()}
    return sorted(found, key=lambda path: path.name.lower())


def selected() -> Path | None:
    """Returns the file of the checkpoint that the person selected; a single picture may have loaded another one."""
    from modules import sd_models
    from modules.shared import opts

    name = opts.sd_model_checkpoint
    info = sd_models.get_closet_checkpoint_match(name) if name else None
    return Path(info.filename) if info else None


def peek(path: Path) -> Checkpoint:
    """Returns the facts of a checkpoint file.

    Raises:
        UserError: it is none that can be trained on.
    """
    raise UserError(f"'{path}' cannot be looked into yet. Load it in the WebUI.")
