"""Settings of any origin, told apart by what they hold: one way in for the page, the API and the command line."""
from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.training import config_values
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange import arguments, command, contradictions, gui, meaning, recorded
from lib_trainer.training.interchange.arguments import Arguments
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.imported import COMMAND, DATASET, GUI, METADATA, OURS, SD_SCRIPTS, Imported

UNDERSTOOD = ("our settings, sd-scripts' settings or dataset file, kohya_ss' settings, a command that trains, or a "
              "LoRA with a record of its training")

_LONGEST = 4_000_000
"""Bytes of a text that can be settings."""


def read_file(path: Path) -> Imported:
    """Reads settings from a file of any kind that is understood, LoRA files included.

    Raises:
        UserError: the file cannot be read, or holds nothing of that kind.
    """
    if path.suffix.lower() == ".safetensors":
        return of_lora(path)
    return read_text(_text(path), path)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST:
            raise UserError(f"The file {path} is too long for settings: give {UNDERSTOOD}.")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The settings file {path} cannot be read ({error}): give TOML or JSON in UTF-8.") from None


def read_upload(path: Path) -> Imported:
    """Reads settings from an uploaded file: where it lay before is not known, so it cannot name others beside it.

    Raises:
        UserError: the file cannot be read, or holds nothing of that kind.
    """
    return of_lora(path) if path.suffix.lower() == ".safetensors" else read_text(_text(path))


def of_lora(path: Path) -> Imported:
    """Reads how a LoRA was trained.

    Raises:
        UserError: the file is no LoRA, or has no record.
    """
    from lib_trainer.lora import file

    tensors, metadata = file.read_header(path)
    if not recorded.is_one(metadata):
        raise UserError(f"{path} holds no record of its training (no `ss_` metadata): choose another LoRA.")
    return _recorded(metadata, recorded.parts(tensors))


def read_text(text: str, origin: Path | None = None) -> Imported:
    """Reads settings from a text of any kind that is understood.

    Args:
        text: TOML, JSON or a command.
        origin: the file it was in; files that it names are looked for beside it.

    Raises:
        UserError: it is nothing of the kind, or not well-formed.
    """
    where = str(origin) if origin else "The text"
    data, fault = parsed(text)
    if data is not None:
        return of_values(data, origin)
    if command.looks_like_one(text):
        return _command(text, origin)
    told = f" ({fault})" if fault else ""
    raise UserError(f"{where} is nothing that is understood here{told}: give {UNDERSTOOD}.")


def of_values(data: Mapping[str, Any], origin: Path | None = None) -> Imported:
    """Reads settings from an object, as JSON or TOML holds them."""
    if recorded.is_one(data):
        return _recorded(data)
    if gui.is_one(data):
        return _gui(data)
    if isinstance(data.get("datasets"), list):
        return _dataset(origin)
    flat = flattened(data)
    if is_sd_scripts(flat):
        return _finished(arguments.read(flat), SD_SCRIPTS)
    return Imported(OURS, dict(data))


def parsed(text: str) -> tuple[dict[str, Any] | None, str]:
    """Returns the object that a text of JSON or TOML holds, or None and what is wrong with it."""
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            return None, f"it is no valid JSON: {error}"
        return (found, "") if isinstance(found, dict) else (None, "it is no object {...}")
    try:
        return config_values.parse_toml(text) or None, ""
    except (ValueError, RecursionError) as error:
        return None, f"it is no valid TOML: {error}"


def flattened(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values without the sections around them: in sd-scripts they are only headings."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat.update(value if isinstance(value, Mapping) else {name: value})
    return flat


def is_sd_scripts(flat: Mapping[str, Any]) -> bool:
    """Whether settings are sd-scripts': they have names that only it has, and none that only we have."""
    ours = {field.name for field in dataclasses.fields(TrainConfig)}
    return bool((OPTIONS.keys() - ours) & flat.keys()) and not (ours - OPTIONS.keys()) & flat.keys()


def _finished(given: Arguments, kind: str) -> Imported:
    result = meaning.read(given, kind)
    result.contradictions += contradictions.of(given)
    return result


def _dataset(origin: Path | None) -> Imported:
    if origin is None:
        return Imported(DATASET, faults=["A dataset file is used where it lies: save it as a .toml or .json file and "
                                         "give that file."])
    return Imported(DATASET, {"datasets": str(origin)})


def _gui(data: Mapping[str, Any]) -> Imported:
    settings = gui.read(data)
    given = arguments.read(settings.values, settings.sdxl)
    given.prompts = settings.prompts
    result = _finished(given, GUI)
    if settings.prompts:
        result.values |= {"preview_prompts": settings.prompts, "preview_steps": meaning.SAMPLE_STEPS,
                          "preview_cfg": meaning.SAMPLE_CFG, "preview_sampler": meaning.sampler(given)}
    result.faults += settings.faults
    result.changed += settings.changed
    result.needless += settings.needless
    return result


def _command(text: str, origin: Path | None) -> Imported:
    found = command.read(text)
    values = dict(found.values)
    faults: list[str] = []
    if file := values.get("config_file"):
        values = _beneath(str(file), origin, faults) | values
    result = _finished(arguments.read(values, found.sdxl), COMMAND)
    result.faults = found.faults + faults + result.faults
    result.needless += found.told
    return result


def _beneath(name: str, origin: Path | None, faults: list[str]) -> dict[str, Any]:
    """Returns what the config file of a command says; the command's own options win over it."""
    path = Path(name if name.endswith(".toml") else f"{name}.toml")
    path = path if path.is_absolute() or origin is None else origin.parent / path
    try:
        return flattened(config_values.parse_toml(path.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError) as error:
        faults.append(f"--config_file {name}: {path} cannot be read ({error}); import that file, or give its full "
                      "path.")
        return {}


def _recorded(metadata: Mapping[str, Any], parts: Mapping[str, bool] | None = None) -> Imported:
    record = recorded.read(metadata)
    record.values |= parts or {}
    result = _finished(arguments.read(record.values, record.sdxl), METADATA)
    result.values = {name: value for name, value in result.values.items() if name not in _PLACES} | record.ours
    result.assumed += record.assumed
    result.changed += record.changed
    result.unsupported += record.unsupported
    return result


_PLACES = frozenset({
    "images", "reg_images", "datasets", "metadata_file", "mask_folder", "base_model", "output_folder", "name",
    "log_folder", "log_with", "log_prefix", "log_tracker", "resume", "preview_file", "comment", "repeats",
    "continue_from", "base_loras", "caption_extension", "cache_to_disk", "attention", "compile", "save_precision",
    "save_every_epochs", "save_every_steps", "save_epoch_ratio", "keep_last_epochs", "keep_last_steps", "keep_states",
    "state_every_steps", "state_every_epochs", "state_at_end", "preview_sampler", "preview_at_first",
    "preview_every_steps", "preview_every_epochs", "trigger_phrase", "title", "vae_batch_size",
})
"""Settings that a record cannot say anything about: they stay as the form has them."""
