"""The command `losses`: which pictures of a training have a high loss, and the loss by timestep."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.cli.arguments import print_json
from lib_trainer.cli.exit_codes import DONE
from lib_trainer.errors import UserError
from lib_trainer.training.resume.search import JOBS
from lib_trainer.training.statistics import losses_file


def run(name: str, outputs: Path, as_csv: bool) -> int:
    """Prints the losses of a training, the pictures with the highest first.

    Args:
        name: of its LoRA, or its folder.
        outputs: folder in which the folders of all trainings lie.
        as_csv: print the pictures alone, as a table.

    Raises:
        UserError: there is no such training, or it has not got far enough.
    """
    found = losses_file.read(_folder(name, outputs))
    pictures = losses_file.ranked(found["pictures"])
    if as_csv:
        print(losses_file.as_csv(pictures), end="")
    else:
        print_json({**found, "pictures": pictures})
    return DONE


def _folder(name: str, outputs: Path) -> Path:
    """Returns the folder of a training by its path, or the last one of a LoRA's name (NAME, NAME-2, ...)."""
    if (Path(name) / losses_file.NAME).is_file():
        return Path(name)
    parent = outputs / JOBS
    named = [path for path in parent.glob("*/") if path.name == name or path.name.rpartition("-")[0] == name]
    written = [path / losses_file.NAME for path in named if (path / losses_file.NAME).is_file()]
    if not written:
        raise UserError(f"There is no training {name!r} in {parent} that has written its losses: give the name of a "
                        "LoRA that was trained here, or the folder of its training.")
    return max(written, key=lambda path: path.stat().st_mtime_ns).parent
