"""The files that a checkpoint needs beside itself: the `.yaml` of its sizes, and the text folder that one may name.

Most checkpoints have none. Where there is one (v-prediction models of SD 2.x in AUTOMATIC1111, models of unusual
width), a checkpoint that was made from it loads only with the same.
"""
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.lora import whole

_CONFIG = ".yaml"
_TEXT_FOLDER = ("model", "params", "cond_stage_config", "params", "version")
"""Where a `.yaml` names the folder of the text encoder's sizes and tokenizer."""


@contextmanager
def beside(base: Path, out: Path) -> Iterator[list[Path]]:
    """Copies the files; yields the copies. If the block fails they are removed again.

    Args:
        base: the checkpoint that has them. out: the checkpoint that needs them.

    Raises:
        UserError: another file has such a name already, or the folder cannot be written.
    """
    made: list[Path] = []
    with ExitStack() as undone:
        for source, target in _pairs(base, out):
            if _copied(source, target):
                made.append(target)
                undone.callback(_remove, target, out)
        yield made
        undone.pop_all()


def remove_with(base: Path, out: Path) -> None:
    """Removes the `.yaml` beside a checkpoint that has been removed, where it is the base's; one with another content
    is somebody's own and stays. So does a text folder, which other checkpoints may name.

    Args:
        base: the checkpoint that it was copied from. out: the one that is gone.
    """
    config, copy = base.with_suffix(_CONFIG), out.with_suffix(_CONFIG)
    with contextlib.suppress(OSError):
        if config.absolute() != copy.absolute() and not out.exists() and config.read_bytes() == copy.read_bytes():
            copy.unlink()


def _pairs(base: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    config = base.with_suffix(_CONFIG)
    if not config.is_file():
        return
    yield config, out.with_suffix(_CONFIG)
    folder = _text_folder(config)
    if folder is not None and out.absolute().parent != base.absolute().parent:
        yield from ((path, out.parent / folder.name / path.name) for path in sorted(folder.iterdir()) if path.is_file())


def _copied(source: Path, target: Path) -> bool:
    """Copies a file; one that is there with the same content stays.

    Raises:
        UserError: one with another content is there.
    """
    content = source.read_bytes()
    if target.exists():
        if target.read_bytes() != content:
            raise whole.taken(target)
        return False
    whole.write(target, content)
    return True


def _remove(path: Path, out: Path) -> None:
    """Removes a copy, and the folder that was made for it when it is the last in there."""
    with contextlib.suppress(OSError):
        path.unlink()
        if path.parent != out.parent:
            path.parent.rmdir()  # fails where others are in it


def _text_folder(config: Path) -> Path | None:
    """Returns the folder beside the checkpoint that its config names, None where it names none that is there.

    Raises:
        UserError: the config cannot be read.
    """
    import yaml

    try:
        value: object = yaml.safe_load(config.read_text(encoding="utf8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"The checkpoint's config '{config}' cannot be read: {error}. Mend or remove it.") from error
    for name in _TEXT_FOLDER:
        value = value.get(name) if isinstance(value, dict) else None
    folder = config.parent / Path(str(value)).name if value else None
    return folder if folder is not None and folder.is_dir() else None
