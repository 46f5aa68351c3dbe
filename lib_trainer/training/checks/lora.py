"""The LoRA to continue from."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Checkpoint, Host
from lib_trainer.training.checks.files import SUFFIX
from lib_trainer.training.config import TrainConfig


def find_lora(text: str, host: Host) -> Path | None:
    """Returns the LoRA file of a path, or of a name in the host's folder and its sub-folders; None if there is none."""
    for path in (Path(text), host.paths.loras / text, host.paths.loras / f"{text}{SUFFIX}"):
        if path.is_file():
            return path
    wanted = f"{Path(text).name.removesuffix(SUFFIX)}{SUFFIX}"
    return next((path for path in sorted(host.paths.loras.rglob("*" + SUFFIX)) if path.name == wanted), None)


def continue_from(config: TrainConfig, host: Host, checkpoint: Checkpoint) -> Iterator[str]:
    from lib_trainer.lora import file

    where = f"continue_from = {config.continue_from!r}"
    path = find_lora(config.continue_from, host)
    if path is None:
        yield f"{where}: there is no such LoRA, neither as a file nor by name in {str(host.paths.loras)!r}; check it."
        return
    try:
        facts = file.inspect(path)
    except UserError as error:
        yield f"{where}: {error}"
        return
    if facts["family"] not in (None, checkpoint.family.name):
        yield (f"{where}: this LoRA was made for {facts['family']}, the checkpoint {checkpoint.name} is "
               f"{checkpoint.family.label}; choose a LoRA for it, or another checkpoint.")
