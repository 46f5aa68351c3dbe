"""The `ss_*` record in a LoRA file, read into sd-scripts' options: "train again like this one".

The record tells how a LoRA was trained, but not from where: folders have names without paths, so pictures, checkpoint
and the name of the new file are the person's. What no trainer records is named.
"""
from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.option import Value

PREFIX = "ss_"

_RENAMED = {
    "batch_size_per_device": "train_batch_size", "debiased_estimation": "debiased_estimation_loss",
    "num_epochs": "max_train_epochs",
}
_NOT_ASKED = frozenset({"output_name", "max_train_steps", "v2", "resolution"})
"""Recorded options that are read one by one, or belong to the old file alone."""

_UNRECORDED = (
    "caption_extension", "caption_separator", "keep_tokens_separator", "secondary_separator", "enable_wildcard",
    "caption_prefix", "caption_suffix", "weighted_captions", "bucket_reso_steps", "alpha_mask", "masked_loss",
    "lr_scheduler_args", "lr_scheduler_num_cycles", "lr_scheduler_power", "min_timestep", "max_timestep",
    "v_pred_like_loss", "scale_v_pred_loss_like_noise_pred", "network_weights", "base_weights",
)
"""What trainers do not record and what would change the result."""

_OURS = ("block_lrs",)
"""Arguments of a network that only this trainer records: they are settings as they stand."""

_DATASET_OPTIONS = (
    "enable_bucket", "bucket_no_upscale", "min_bucket_reso", "max_bucket_reso", "resize_interpolation",
)
_SUBSET_OPTIONS = (
    "color_aug", "flip_aug", "random_crop", "shuffle_caption", "keep_tokens", "caption_dropout_rate",
    "caption_tag_dropout_rate", "caption_dropout_every_n_epochs", "keep_tokens_separator", "secondary_separator",
    "enable_wildcard", "caption_prefix", "caption_suffix",
)


@dataclass
class Record:
    """What a record says.

    Attributes:
        values: by option of sd-scripts. sdxl: whether the base model was SDXL; None = it is not said.
        ours: our settings. assumed, changed, unsupported: sentences.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sdxl: bool | None = None
    ours: dict[str, Any] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)


def is_one(data: Mapping[str, Any]) -> bool:
    """Whether an object is the record of a LoRA file."""
    return any(str(name).startswith(PREFIX) for name in data)


def read(data: Mapping[str, Any]) -> Record:
    """Reads the metadata of a LoRA file.

    Args:
        data: texts by key, as safetensors holds them.
    """
    record = Record()
    told = {str(name)[len(PREFIX):]: value for name, value in data.items() if str(name).startswith(PREFIX)}
    _options(told, record)
    _model(told, record)
    _optimizer(told, record)
    _network(told, record)
    _data(told, record)
    _length(told, record)
    missing = [name for name in _UNRECORDED if name not in record.values]
    record.assumed.append(f"A LoRA does not record {', '.join(missing)}: they are as in an untouched run of "
                          "sd-scripts; set them if yours were otherwise.")
    return record


def parts(tensors: Iterable[str]) -> dict[str, bool]:
    """Returns which parts alone a file was trained of: no record tells that, its tensors do."""
    names = set(tensors)
    unet = any("unet" in name.partition(".")[0] for name in names)
    encoder = any(name.startswith("lora_te") for name in names)
    return {"network_train_unet_only": unet and not encoder, "network_train_text_encoder_only": encoder and not unet}


def _options(told: Mapping[str, Any], record: Record) -> None:
    for name, value in told.items():
        option = _RENAMED.get(name, name)
        if option in OPTIONS and OPTIONS[option].fields and name not in _NOT_ASKED and value != "None":
            record.values[option] = value
    rate = record.values.get("text_encoder_lr")
    if isinstance(rate, str):
        record.values["text_encoder_lr"] = re.findall(r"[\d.eE+-]+", rate)


def _model(told: Mapping[str, Any], record: Record) -> None:
    version = str(told.get("base_model_version", ""))
    record.sdxl = version.startswith("sdxl") if version else None
    if version.endswith("_v"):
        record.values["v_parameterization"] = True
    if model := told.get("sd_model_name"):
        record.assumed.append(f"It was trained on {model}: choose that checkpoint, or another one.")
    if told.get("vae_name") not in (None, "None"):
        record.unsupported.append(f"vae = {told['vae_name']!r}: {OPTIONS['vae'].says}")


def _optimizer(told: Mapping[str, Any], record: Record) -> None:
    """`bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))` -> a type and its arguments."""
    path, _, rest = str(told.get("optimizer", "")).partition("(")
    if path and path != "None":
        record.values["optimizer_type"] = _optimizer_name(path)
        record.values["optimizer_args"] = _arguments(rest[:-1] if rest.endswith(")") else rest)


def _optimizer_name(path: str) -> str:
    """Returns our name of a class: the table's, the bare one of torch, otherwise the whole path."""
    from lib_trainer.training.learning.optimizers import OPTIMIZERS

    name = path.rpartition(".")[2]
    of_class = (row for row, facts in OPTIMIZERS.items() if facts.path.rpartition(":")[2] == name)
    known = next((row for row in OPTIMIZERS if row.lower() == name.lower()), next(of_class, ""))
    return known or (name if path.startswith("torch.optim.") else path)


def _arguments(text: str) -> list[str]:
    """Splits `a=1,b=(2, 3)` at its outer commas; a tuple is written as sd-scripts' argument `b=2,3`."""
    parts = re.split(r",(?![^(\[]*[)\]])", text)
    return [re.sub(r"\s", "", part).replace("(", "").replace(")", "") for part in parts if "=" in part]


def _network(told: Mapping[str, Any], record: Record) -> None:
    """`ss_network_args` is JSON; sd-scripts adds `dropout` to it, which is network_dropout once more."""
    arguments = _json(told.get("network_args"))
    record.values["network_args"] = [
        f"{name}={value}" for name, value in arguments.items()
        if value is not None and name != "dropout" and name not in _OURS
    ]
    record.ours = {name: arguments[name] for name in _OURS if name in arguments}


def _data(told: Mapping[str, Any], record: Record) -> None:
    datasets = _json(told.get("datasets"))
    if isinstance(datasets, list) and datasets:
        _from_datasets(datasets, record)
    elif told.get("resolution") not in (None, "None"):
        record.values["resolution"] = _size(told["resolution"])
    folders = _json(told.get("dataset_dirs"))
    listed = [f"{name} ({facts.get('img_count', '?')} pictures, {facts.get('n_repeats', '?')} repeats)"
              for name, facts in folders.items() if isinstance(facts, Mapping)] if isinstance(folders, Mapping) else []
    if listed:
        record.assumed.append(f"Its pictures were in {', '.join(listed)}: choose the folder that holds yours.")
    if isinstance(reg := _json(told.get("reg_dataset_dirs")), Mapping) and reg:
        record.assumed.append(f"It had regularisation pictures in {', '.join(reg)}: choose that folder, too.")


def _from_datasets(datasets: list[Any], record: Record) -> None:
    """Options of a dataset file where all its datasets agree; where they do not, the first one's, and it is told."""
    subsets = [subset for dataset in datasets for subset in dataset.get("subsets", [])]
    for names, places in ((_DATASET_OPTIONS, datasets), (_SUBSET_OPTIONS, subsets)):
        for name in names:
            found = [place[name] for place in places if place.get(name) is not None]
            if found:
                record.values[name] = found[0]
            if any(value != found[0] for value in found):
                record.changed.append(f"{name} differed between the data sets ({', '.join(map(str, found))}): "
                                      f"{found[0]} is taken; write a dataset file for more.")
    sizes = [dataset.get("resolution") for dataset in datasets if dataset.get("resolution")]
    if sizes:
        record.values["resolution"] = _size(sizes[0])
    if any(size != sizes[0] for size in sizes):
        record.changed.append(f"The data sets had several resolutions ({', '.join(map(_size, sizes))}): the first one "
                              "is taken; write a dataset file for more.")
    if batch := datasets[0].get("batch_size_per_device"):
        record.values["train_batch_size"] = batch


def _length(told: Mapping[str, Any], record: Record) -> None:
    """Epochs, where the run had whole ones; steps otherwise."""
    steps, batches = told.get("max_train_steps"), told.get("num_batches_per_epoch")
    epochs, together = told.get("num_epochs"), told.get("gradient_accumulation_steps") or 1
    try:
        whole = int(str(epochs)) * -(-int(str(batches)) // int(str(together))) == int(str(steps))
    except (ValueError, ZeroDivisionError):
        whole = False
    if not whole and steps not in (None, "None"):
        record.values.pop("max_train_epochs", None)
        record.values["max_train_steps"] = steps


def _size(value: Value) -> str:
    """Writes `(512, 768)`, `[512, 768]` or "512,768" as sd-scripts' option."""
    return ",".join(re.findall(r"\d+", str(value)))


def _json(value: Value) -> Value:
    """Returns what a text of JSON (or of a Python dictionary, as older trainers wrote) holds; {} of anything else."""
    if not isinstance(value, str):
        return value if isinstance(value, (dict, list)) else {}
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, (dict, list)) else {}
    return {}
