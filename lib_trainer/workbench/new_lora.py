"""A LoRA file made from another one: never over an existing file, with hashes of its own."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.lora import file, whole

if TYPE_CHECKING:
    from torch import Tensor

def require_new(out: Path) -> None:
    """Checks that a file can be written under this name, before any work is done.

    Raises:
        UserError: the name is taken, or does not end as loaders want it.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"'{out}' is not the name of a LoRA file: new files end with .safetensors. Write {out.stem}"
                        ".safetensors.")
    if out.exists():
        raise whole.taken(out)


def save(out: Path, tensors: Mapping[str, Tensor], told: Mapping[str, str]) -> None:
    """Writes a new LoRA; the hashes in its metadata are its own.

    Raises:
        UserError: as `file.save`.
    """
    from lib_trainer.workbench import record  # needs torch, which `require_new` does not

    own = {key: text for key, text in told.items() if not key.startswith("sshs_")}
    file.save(out, tensors, record.with_hashes(tensors, own))
