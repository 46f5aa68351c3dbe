"""The metadata of files that the workbench makes: family, ranks, names, and what they were made of.

`ss_network_*` follow sd-scripts: one rank for matrices and 1x1 convolutions, one for greater kernels among the
arguments, and the word "Dynamic" where layers differ. What was done stands under `workbench.*`.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from torch import Tensor

from lib_trainer.families.family import Family
from lib_trainer.lora import metadata
from lib_trainer.workbench.written import Written

PREFIX = "workbench."
"""Beginning of the metadata keys that are ours."""

DYNAMIC = "Dynamic"
"""sd-scripts' word for ranks that differ from layer to layer."""

_MODELSPEC = "modelspec."
_BASE_VERSION = "ss_base_model_version"
_OF_THE_BASE = ("ss_sd_model_name", "ss_sd_model_hash", "ss_new_sd_model_hash", "ss_clip_skip",
                f"{_MODELSPEC}prediction_type", f"{_MODELSPEC}resolution")
"""What a sum keeps where all its sources say the same."""


def network(layers: Iterable[Written]) -> dict[str, str]:
    """Returns `ss_network_module`, `_dim`, `_alpha` and `_args` of a file."""
    layers = list(layers)
    conv = {layer.rank for layer in layers if layer.rank and layer.is_conv}
    plain = {layer.rank for layer in layers if layer.rank and not layer.is_conv} or conv
    is_plain_lora = all(layer.rank and not {"diff_b", "b_norm"} & layer.tensors.keys() for layer in layers)
    kinds = {layer.kind for layer in layers}
    arguments = {} if is_plain_lora else {"algo": kinds.pop() if len(kinds) == 1 and "" not in kinds else
                                          "locon" if plain else "full"}
    if conv:
        arguments |= {"conv_dim": _rank(conv), "conv_alpha": _alpha(conv)}
    found = {"ss_network_module": "networks.lora" if is_plain_lora else "lycoris.kohya"}
    if plain:
        found |= {"ss_network_dim": _rank(plain), "ss_network_alpha": _alpha(plain)}
    return found | ({"ss_network_args": json.dumps(arguments)} if arguments else {})


def _rank(ranks: set[int]) -> str:
    return str(min(ranks)) if len(ranks) == 1 else DYNAMIC


def _alpha(ranks: set[int]) -> str:
    """Alpha is the rank in every file made here."""
    return str(float(min(ranks))) if len(ranks) == 1 else DYNAMIC


def of_sum(
    sources: Mapping[str, Mapping[str, str]], family: Family | None, name: str, shuffled: bool
) -> dict[str, str]:
    """Returns the record of a sum of LoRAs, without ranks and hashes.

    Args:
        sources: the sources' metadata by file name without ending. family: theirs; None = nothing tells.
        name: the new file's, without its ending.
        shuffled: whether nothing may be told of the sources but their family and what it predicts.
    """
    said = list(sources.values())
    version = _shared(said, _BASE_VERSION) or (family.base_version if family else "")
    record = {"ss_output_name": name, **_specification(family, version, name)}
    if version:
        record |= {_BASE_VERSION: version, "ss_v2": str(version.startswith("sd_v2"))}
    if shuffled:
        kept: tuple[str, ...] = (f"{_MODELSPEC}prediction_type",)
    else:
        kept = _OF_THE_BASE
        record[f"{_MODELSPEC}merged_from"] = ", ".join(
            source.get(f"{_MODELSPEC}title") or stem for stem, source in sources.items())
    record |= {key: _shared(said, key) for key in kept}
    return {key: text for key, text in record.items() if text}


def _specification(family: Family | None, version: str, name: str) -> dict[str, str]:
    """Returns the record of the SAI model metadata specification, version 1.0.1."""
    record = {"sai_model_spec": "1.0.1", "title": name, "date": datetime.now().replace(microsecond=0).isoformat(),
              "implementation_version": metadata.IMPLEMENTATION}
    if family:
        is_v = bool(family.base_version_v) and version == family.base_version_v
        record |= {"architecture": (is_v and family.modelspec_v) or family.modelspec,
                   "implementation": family.implementation}
    return {f"{_MODELSPEC}{key}": text for key, text in record.items()}


def _shared(sources: Sequence[Mapping[str, str]], key: str) -> str:
    """Returns what all sources say; "" where they differ or one says nothing."""
    said = {source.get(key, "") for source in sources}
    return said.pop() if len(said) == 1 else ""


_OF_THE_FORMER = ("ss_network_args", "ss_network_dim", "ss_network_alpha", "lora_adapter_metadata",
                  f"{PREFIX}folded")
"""What tells of ranks and strengths that a changed file no longer has; PEFT's and a conversion's among them."""


def of_changed(source: Mapping[str, str], layers: Iterable[Written], name: str, how: str) -> dict[str, str]:
    """Returns the record of a file of which only the ranks are new: everything is kept but ranks, name, date, hashes.

    Args:
        source: its metadata. layers: the new file's.
        name: the new file's, without its ending.
        how: what was done, put before the comment as sd-scripts does.
    """
    record = {key: text for key, text in source.items()
              if not key.startswith("sshs_") and key not in _OF_THE_FORMER}
    comment = source.get("ss_training_comment", "")
    record["ss_training_comment"] = f"{how}; {comment}" if comment and comment != "None" else how
    record |= network(layers)
    if "ss_output_name" in record:
        record["ss_output_name"] = name
    if any(key.startswith(_MODELSPEC) for key in record):
        record |= {f"{_MODELSPEC}title": name,
                   f"{_MODELSPEC}date": datetime.now().replace(microsecond=0).isoformat()}
    return record


def with_hashes(tensors: Mapping[str, Tensor], record: Mapping[str, str]) -> dict[str, str]:
    """Returns a record with the hashes of the file that it is for."""
    found = {**record, **metadata.hashes(tensors, record)}
    if f"{_MODELSPEC}hash_sha256" in found:
        found[f"{_MODELSPEC}hash_sha256"] = f"0x{found[metadata.MODEL_HASH]}"
    return found
