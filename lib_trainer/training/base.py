"""The checkpoint that a run trains on: the loaded one, or another of the host's list by file, name or stem."""
from __future__ import annotations

import difflib
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Host


def find(text: str, host: Host) -> Path | None:
    """Returns the file of a base checkpoint, None for the loaded one.

    Args:
        text: a path, or a file name with or without its ending from the host's list; "" = the loaded one.
        host: whose list is searched.

    Raises:
        UserError: no such checkpoint, or several of that name.
    """
    if not text:
        return None
    if Path(text).is_file():
        return Path(text).absolute()
    files = host.checkpoints()
    wanted = Path(text.replace("\\", "/")).name.lower()
    for names in ([path.name.lower() for path in files], [path.stem.lower() for path in files]):
        found = [path for path, name in zip(files, names, strict=True) if name == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"base_model = {text!r}: there are {len(found)} checkpoints of this name "
                            f"({', '.join(map(str, found[:3]))}); give the whole path.")
    near = difflib.get_close_matches(Path(text).stem, [path.stem for path in files], 3)
    known = ", ".join(near or [path.stem for path in files[:3]])
    raise UserError(f"base_model = {text!r}: the host has no such checkpoint{f' (it has {known})' if known else ''}; "
                    "choose one of its list, give the path of a file, or leave it empty for the loaded one.")


def switch_note(base: Path | None, host: Host) -> str:
    """Returns what the person should know of the base before the start, "" where it is loaded already."""
    if base is None:
        return ""
    try:
        loaded = host.checkpoint()
    except UserError:
        return f"{base.name} is loaded for this training."
    if loaded.path is not None and loaded.path.resolve() == base.resolve():
        return ""
    return f"{base.name} is loaded for this training; {loaded.name} comes back when it ends."
