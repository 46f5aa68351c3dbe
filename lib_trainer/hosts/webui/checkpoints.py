"""The host's list of checkpoints, and what a file among them is without loading it."""
from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.host_model import Checkpoint


def files() -> list[Path]:
    """Returns the checkpoint files that the host lists, sorted by name."""
    from modules import sd_models

    found = {Path(info.filename) for info in sd_models.checkpoints_list.values()}
    return sorted(found, key=lambda path: path.name.lower())


def record(path: Path) -> Any:
    """Returns the host's own record of a checkpoint file; a file that it does not list is added to its list.

    A training in rounds trains on private copies, which lie outside the host's folders.

    Raises:
        UserError: there is no such file.
    """
    from modules import sd_models

    for info in sd_models.checkpoints_list.values():
        if Path(info.filename).resolve() == path.resolve():
            return info
    if not path.is_file():
        raise UserError(f"There is no checkpoint file '{path}'. Choose another base model.")
    info = sd_models.CheckpointInfo(str(path.resolve()))
    info.register()
    return info


def unlist(path: Path) -> None:
    """Takes a file out of the host's list, under all its names."""
    from modules import sd_models

    for known in (sd_models.checkpoints_list, sd_models.checkpoint_aliases):
        for name in [name for name, info in known.items() if Path(info.filename).resolve() == path.resolve()]:
            del known[name]


def refresh() -> None:
    """Has the host read its folders of checkpoints again."""
    from modules import sd_models

    sd_models.list_models()


def selected() -> Path | None:
    """Returns the file of the checkpoint that the person selected; a single picture may have loaded another one."""
    from modules import sd_models
    from modules.shared import opts

    name = opts.sd_model_checkpoint
    info = sd_models.get_closet_checkpoint_match(name) if name else None
    return Path(info.filename) if info else None


def peek(path: Path) -> Checkpoint:
    """Returns the facts of a checkpoint file; of a `.safetensors` only the header is read.

    What a header cannot tell (whether an SD 2.x model predicts noise or velocity) is told by the `.yaml` beside it,
    else it is what most files are; the loaded model has the last word when the run begins.

    Raises:
        UserError: it is no text-to-image checkpoint of a known family.
    """
    if not path.is_file():
        raise UserError(f"There is no checkpoint file '{path}'. Choose one of the list.")
    return _peek(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _peek(path: Path, modified: int) -> Checkpoint:
    from lib_trainer.hosts import kinds
    from lib_trainer.hosts.checkpoint_file import read_config, read_shapes, setting

    shapes = read_shapes(path)
    family, found = kinds.family_of(shapes)
    if family is None:
        raise UserError(f"'{path}' is {found}. Choose an SD 1.x, SD 2.x or SDXL text-to-image checkpoint.")
    config = read_config(path)
    stated = setting(config, "model", "params", "parameterization")
    velocity = stated == "v" if stated else "v_pred" in shapes or family.resolution_v > 0
    prediction = "v" if velocity else "epsilon"
    native = resolution(path, family, prediction)
    return Checkpoint(path.name, path, family, native, prediction, "ztsnr" in shapes)


def resolution(path: Path, family: Family, prediction: str) -> int:
    """Returns the native size in pixels of a checkpoint: that of the `.yaml` beside it when it is a narrow model."""
    from lib_trainer.hosts.checkpoint_file import read_config, setting

    latent = setting(read_config(path), "model", "params", "image_size")
    usual = family.native_resolution(prediction)
    return min(usual, latent * 8) if isinstance(latent, int) else usual
