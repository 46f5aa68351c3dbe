"""A state on the disk: `NAME-state-00000100/` with `state.json`, `state.safetensors` and `pictures.json`.

The folder is written under a hidden name, forced to the disk and only then renamed, so a folder with its proper name is
whole, whenever the machine stopped. `state.json` holds what people and programs want to know of a state (position,
settings, checkpoint, versions) and the nested state itself, whose tensors lie in the safetensors file. torch is loaded
only where tensors are read or written, so that a page can list states without it.
"""
from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError
from lib_trainer.lora import file, whole

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
FACTS, TENSORS, PICTURES = "state.json", "state.safetensors", "pictures.json"
_NAME = re.compile(r"(?P<name>.+)-state-(?P<step>\d{8,})")


@dataclass(frozen=True)
class State:
    """A state that was found; its tensors are read when they are asked for.

    Attributes:
        folder: where it lies. facts: the content of `state.json`.
    """

    folder: Path
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the LoRA."""
        return str(self.facts["name"])

    @property
    def step(self) -> int:
        """Updates done."""
        return int(self.facts["position"]["step"])

    @property
    def config(self) -> dict[str, Any]:
        """The settings of the run, by field name."""
        return dict(self.facts["config"])

    @property
    def written_at(self) -> float:
        """Unix seconds."""
        return float(self.facts["written_at"])

    def pictures(self) -> dict[str, str]:
        """Returns a digest of every picture by its key.

        Raises:
            UserError: the file is damaged.
        """
        found = _read_json(self.folder / PICTURES)
        return {str(key): str(value) for key, value in found.items()}

    def objects(self) -> dict[str, Any]:
        """Returns the nested state of every registered object, by name.

        Raises:
            UserError: the files are damaged.
        """
        from lib_trainer.training.resume import packing

        tensors = file.load(self.folder / TENSORS).tensors
        try:
            return dict(packing.unpack(self.facts["state"], tensors))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(self.folder, repr(error)) from None


def folder_name(name: str, step: int) -> str:
    """Returns the name of a state's folder."""
    return f"{name}-state-{step:08d}"


def is_state_name(name: str) -> bool:
    """Whether a folder of this name may be a state."""
    return _NAME.fullmatch(name) is not None


def write(folder: Path, facts: Mapping[str, Any], pictures: Mapping[str, str], objects: Mapping[str, Any]) -> None:
    """Writes a state, completely or not at all; one of the same name is replaced.

    Args:
        folder: its final place.
        facts: what `state.json` says, without the nested state.
        pictures: a digest of every picture.
        objects: the nested state of every registered object.

    Raises:
        UserError: it cannot be written, or an object cannot be kept.
    """
    from lib_trainer.training.resume import packing

    tensors: dict[str, Tensor] = {}
    packed = packing.pack(dict(objects), tensors)
    temporary = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.tmp"
    try:
        remove_unfinished(folder.parent)
        temporary.mkdir(parents=True)
        whole.write(temporary / PICTURES, _json(pictures))
        _write_tensors(temporary / TENSORS, tensors)
        whole.write(temporary / FACTS, _json({"format": FORMAT, **facts, "state": packed}))
        _publish(temporary, folder)
    except OSError as error:
        raise UserError(f"The state {str(folder)!r} cannot be written ({error.strerror or error}): make room on the "
                        "disk, or write states less often.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read(folder: Path) -> State:
    """Returns a state after checking that it is whole.

    Raises:
        UserError: it is none, or it is damaged.
    """
    facts = _read_json(folder / FACTS)
    if facts.get("format") != FORMAT:
        raise UserError(f"The state {str(folder)!r} is of format {facts.get('format')!r}, and this version reads "
                        f"format {FORMAT}: resume it with the version that wrote it.")
    header, _ = file.read_header(folder / TENSORS)
    wanted = _tensor_numbers(facts.get("state"))
    keys = ("name", "session", "started_at", "written_at", "position", "config", "base", "data", "versions")
    missing = [key for key in keys if key not in facts] + [number for number in wanted if number not in header]
    if missing:
        raise _damaged(folder, f"{', '.join(missing[:3])} missing")
    return State(folder, facts)


def remove(state: State) -> None:
    """Removes a state: first its name goes, so that no half of it is ever taken for a whole one.

    Files that are not ours stay where they are, under the hidden name.
    """
    hidden = state.folder.parent / f".{state.folder.name}.{secrets.token_hex(4)}.tmp"
    with contextlib.suppress(OSError):
        os.replace(state.folder, hidden)
        _remove_ours(hidden)


def remove_unfinished(parent: Path) -> None:
    """Removes what killed writes and removals of states left in a job's folder."""
    for left in parent.glob(".*-state-*.tmp"):
        with contextlib.suppress(OSError):
            _remove_ours(left)


def _remove_ours(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name in (FACTS, TENSORS, PICTURES) or path.suffix == ".tmp":
            path.unlink()
    folder.rmdir()


def _publish(temporary: Path, folder: Path) -> None:
    """Gives the written folder its name; a state that has it is taken away first."""
    whole.sync_folder(temporary)
    if folder.exists():
        replaced = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.tmp"
        os.replace(folder, replaced)
        os.rename(temporary, folder)
        _remove_ours(replaced)
    else:
        os.rename(temporary, folder)
    whole.sync_folder(folder.parent)


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Streams the tensors into a file and forces it to the disk."""
    from safetensors.torch import save_file

    save_file(tensors, path)
    with path.open("rb+") as written:
        os.fsync(written.fileno())


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise UserError(f"{str(path.parent)!r} is not a state of a training: {path.name} cannot be read "
                        f"({error.strerror}).") from None
    except ValueError as error:
        raise _damaged(path.parent, f"{path.name}: {error}") from None
    if not isinstance(found, dict):
        raise _damaged(path.parent, f"{path.name} holds no object")
    return found


def _damaged(folder: Path, why: str) -> UserError:
    return UserError(f"The state {str(folder)!r} is damaged ({why}): resume from another one.")


def _tensor_numbers(packed: object) -> list[str]:
    """Returns the numbers of all tensors that a packed value names."""
    if isinstance(packed, dict):
        if isinstance(packed.get("tensor"), str):
            return [packed["tensor"]]
        return [number for entry in packed.values() for number in _tensor_numbers(entry)]
    if isinstance(packed, list):
        return [number for entry in packed for number in _tensor_numbers(entry)]
    return []
