"""A LoRA file made from another one: never over an existing file, with hashes of its own."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    for fault in faults(out):
        raise UserError(fault)


def faults(out: Path, replaces: bool = False) -> Iterator[str]:
    """Yields why no new LoRA or checkpoint can be written under a name.

    Args:
        out: the new file. replaces: whether it may be there already.
    """
    if out.suffix != ".safetensors":
        yield (f"'{out}' is not the name of a new file: LoRAs and checkpoints end with .safetensors. Write {out.stem}"
               ".safetensors.")
    elif out.exists() and not replaces:
        yield str(whole.taken(out))



def save(out: Path, tensors: Mapping[str, Tensor], told: Mapping[str, str]) -> None:
    """Writes a new LoRA; the hashes in its metadata are its own.

    Raises:
        UserError: as `file.save`.
    """
    from lib_trainer.workbench import record  # needs torch, which `require_new` does not

    own = {key: text for key, text in told.items() if not key.startswith("sshs_")}
    file.save(out, tensors, record.with_hashes(tensors, own))
