"""What PEFT's files say about the strength of their layers, as kohya's alpha.

PEFT multiplies B A by lora_alpha / r (rank-stabilised: / sqrt(r), Kalajdzievski 2023, arXiv:2312.03732), and keeps the
two numbers beside the tensors: in `adapter_config.json`, or in the metadata `lora_adapter_metadata` (diffusers from
0.34 on, a network's name before every entry). kohya's alpha is divided by the rank, so alpha = lora_alpha there, or
lora_alpha * sqrt(r). Files without either were scaled before they were written: they have no alpha.
"""
from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError

IN_METADATA = "lora_adapter_metadata"
BESIDE = "adapter_config.json"
_MAX_CONFIG = 10_000_000

Config = Mapping[str, Any]


def found(path: Path, metadata: Mapping[str, str]) -> Config | None:
    """Returns what is said about a file; None = nothing.

    Raises:
        UserError: it is said, but cannot be read.
    """
    beside = path.parent / BESIDE
    if IN_METADATA in metadata:
        return _parsed(metadata[IN_METADATA], f"the metadata '{IN_METADATA}' of '{path}'")
    if path.stem.startswith("adapter_model") and beside.is_file():
        try:
            if beside.stat().st_size > _MAX_CONFIG:
                raise ValueError("too long")
            return _parsed(beside.read_text(encoding="utf8"), f"'{beside}'")
        except (OSError, ValueError) as error:
            raise UserError(f"'{beside}' cannot be read ({error}), and it says how strong '{path.name}' is. Repair it, "
                            "or take it away: then the tensors are taken as they are.") from error
    return None


def _parsed(text: str, where: str) -> Config:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} should be JSON and is not ({error}). Use an intact copy.") from error
    if not isinstance(config, dict):
        raise UserError(f"{where} should hold names and values in JSON. Use an intact copy.")
    return config


def alpha(config: Config, network: str, place: str, rank: int) -> float | None:
    """Returns kohya's alpha of a layer; None where the configuration does not say.

    Args:
        config: what `found` gave.
        network: "unet", "text_encoder" or "text_encoder_2". place: the layer's path below it.
        rank: the layer's own.

    Raises:
        UserError: what it says is no number.
    """
    own = {key.removeprefix(f"{network}."): value for key, value in config.items()}
    value = _by_pattern(own.get("alpha_pattern"), place, own.get("lora_alpha"))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UserError(f"The LoRA's configuration gives the layer '{network}.{place}' the alpha {value!r}, which "
                        "is no number. Use an intact copy.")
    return float(value) * (math.sqrt(rank) if own.get("use_rslora") is True else 1.0)


def _by_pattern(patterns: object, place: str, default: object) -> object:
    """Returns the value of the pattern that ends the path, as PEFT looks it up, else the default."""
    if isinstance(patterns, dict):
        for pattern, value in patterns.items():
            if place == pattern or place.endswith(f".{pattern}") or _matches(str(pattern), place):
                return value
    return default


def _matches(pattern: str, place: str) -> bool:
    """PEFT's patterns are regular expressions for the end of a path; a stranger's are not run, only a leading ^ is."""
    return pattern.startswith("^") and re.fullmatch(r"[\w.]+", pattern[1:].rstrip("$")) is not None \
        and place == pattern[1:].rstrip("$")
