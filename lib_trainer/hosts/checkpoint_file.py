"""Reads a single-file checkpoint from the disk: tensors by name, nothing executed, nothing kept open.

`.safetensors` is a header and raw numbers. `.ckpt` is a pickle, which can run code when opened, so only torch's
weights-only unpickler ever touches it. Whatever is wrong with a file becomes one sentence for the person.
"""
from __future__ import annotations

import json
import pickle
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError, safe_open

from lib_trainer.errors import UserError

SUFFIXES = (".safetensors", ".ckpt")
"""Endings of the files that can be loaded."""


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Returns the tensors of a checkpoint by name; they may be views of the file, so copy what is kept.

    Raises:
        UserError: the file is missing, is not a checkpoint file, is damaged, or needs code to be run.
    """
    if not path.is_file():
        raise UserError(f"There is no checkpoint file '{path}'. Give the path of a .safetensors or .ckpt file.")
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"'{path}' is not a checkpoint: files ending in .safetensors or .ckpt are read.")
    return _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_ckpt(path)


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a checkpoint's tensors by name; of a `.safetensors` only the header is read.

    Raises:
        UserError: as `read_tensors`.
    """
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return {name: tuple(value.shape) for name, value in read_tensors(path).items()}
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise UserError(f"'{path}' is damaged or no safetensors file ({error}). Download or copy it again.") from error


def read_tensor(path: Path, name: str) -> torch.Tensor:
    """Returns one tensor of a checkpoint that has it; of a `.safetensors` nothing else is read.

    Raises:
        UserError: as `read_tensors`.
    """
    if path.suffix.lower() != ".safetensors":
        return read_tensors(path)[name]
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            return file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise UserError(f"'{path}' is damaged or no safetensors file ({error}). Download or copy it again.") from error


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise UserError(f"'{path}' is damaged or no safetensors file ({error}). Download or copy it again.") from error
    except OSError as error:
        raise UserError(f"'{path}' cannot be read ({error}). Check the file and its permissions.") from error


def _read_ckpt(path: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"'{path}' is damaged or holds more than weights, which could run code when opened. "
            "Use the .safetensors version of this checkpoint."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"'{path}' is damaged ({error}). Download or copy it again.") from error
    content = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise UserError(f"'{path}' holds no weights. A Stable Diffusion checkpoint is needed.")
    return tensors


def read_config(path: Path) -> dict[str, object]:
    """Returns the `.yaml` beside a checkpoint as a mapping; empty when there is none.

    Raises:
        UserError: the file cannot be read or is not YAML.
    """
    file = path.with_suffix(".yaml")
    if not file.is_file():
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"The checkpoint's config '{file}' cannot be read: {error}. Mend or remove it.") from error
    if not isinstance(content, dict):
        raise UserError(f"The checkpoint's config '{file}' is not a mapping. Mend or remove it.")
    return content


def setting(config: dict[str, object], *names: str) -> object | None:
    """Returns the value at a path of names in a config, None where the path ends early."""
    value: object = config
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text_folder_config(path: Path, config: dict[str, object]) -> dict[str, object]:
    """Returns the text encoder's `config.json` from the folder that the `.yaml` names; empty when there is none.

    A narrow checkpoint names it as `cond_stage_config.params.version` (A1111 reads it there): a path of its own, or
    one whose last folder lies beside the checkpoint.

    Raises:
        UserError: the file is there but cannot be read.
    """
    version = setting(config, "model", "params", "cond_stage_config", "params", "version")
    folders = [path.parent / str(version), path.parent / Path(str(version)).name] if version else []
    file = next((folder / "config.json" for folder in folders if (folder / "config.json").is_file()), None)
    if file is None:
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise UserError(f"The text encoder's config '{file}' cannot be read: {error}. Mend or remove it.") from error
    return content if isinstance(content, dict) else {}
