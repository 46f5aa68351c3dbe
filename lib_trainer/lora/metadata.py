"""What a LoRA file tells about itself: kohya's `ss_*` record, Stability's `modelspec.*` and the `sshs_*` hashes.

Other programs read these keys (Forge's Lora tab, ComfyUI, model sites), so all keys of an sd-scripts run are written,
with its spelling of values: text as it is, `str(...)` of everything else (`True`, `None`, `(512, 512)`), JSON for
dictionaries. Of a run with a dataset file the record is by data set, as there.
"""
from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lib_trainer.lora import layout

if TYPE_CHECKING:
    from torch import Tensor

    from lib_trainer.families.family import Family

IMPLEMENTATION = "train-lora-and-block-weight"
"""Value of `modelspec.implementation_version` and of sd-scripts' commit key: which program wrote the file."""

MODEL_HASH = "sshs_model_hash"
"""Key of the SHA-256 of a file's tensors."""

_LEGACY = range(0x100000, 0x110000)
"""Bytes of a file whose SHA-256 begins with the legacy hash."""

_UNTOUCHED: dict[str, Any] = {
    "network_dropout": None, "scale_weight_norms": None,
    "full_fp16": False, "fp8_base": False, "fp8_base_unet": False,
    "lowram": False, "color_aug": False, "random_crop": False, "face_crop_aug_range": None,
    "resize_interpolation": None,
    "caption_dropout_every_n_epochs": 0, "debiased_estimation": False, "noise_offset_random_strength": False,
    "adaptive_noise_scale": None, "multires_noise_iterations": None, "multires_noise_discount": 0.3,
    "ip_noise_gamma": None, "ip_noise_gamma_random_strength": False, "loss_type": "l2", "huber_schedule": "snr",
    "huber_scale": 1.0, "huber_c": 0.1, "validation_seed": None, "validation_split": 0.0,
    "validate_every_n_epochs": None, "validate_every_n_steps": None, "max_validation_steps": None,
}
"""sd-scripts' values of the settings of a run that says nothing about them."""

_OF_ONE_DATASET = (
    "batch_size_per_device", "total_batch_size", "resolution", "color_aug", "flip_aug", "random_crop",
    "shuffle_caption", "enable_bucket", "bucket_no_upscale", "min_bucket_reso", "max_bucket_reso", "keep_tokens",
    "reg_dataset_dirs", "bucket_info",
)
"""What a run with a dataset file records by data set, in `ss_datasets`, instead."""

_MINIMAL = ("v2", "base_model_version", "network_module", "network_dim", "network_alpha", "network_args")
"""All that a loader needs to know: what sd-scripts keeps with --no_metadata."""

_NOT_SS = frozenset({"family", "prediction", "settings", "modelspec", "minimal"})


@dataclass(frozen=True)
class RunInfo:
    """A training run as its file records it. Fields are kohya's keys without `ss_`; None is written as "None".

    Attributes:
        family: of the base model. prediction: "epsilon" or "v".
        session_id: number of the run. training_started_at, training_finished_at: Unix seconds.
        sd_model_name: file name of the checkpoint. sd_model_hash: its old 8-digit hash. new_sd_model_hash: its SHA-256.
        clip_skip, max_token_length: None where they are the default (1 and 75).
        network_alpha, network_dim: of the Linear layers.
        network_args: extra arguments as text, such as {"conv_dim": "4", "conv_alpha": "2"}; {} = none.
        learning_rate, unet_lr, text_encoder_lr: numbers, or a step list as text; None = as learning_rate.
        optimizer: `module.Class(args)`. lr_warmup_steps: updates.
        mixed_precision: "no", "fp16" or "bf16".
        steps, epoch: done when the file was written. max_train_steps, num_epochs: planned.
        num_train_images, num_reg_images: with repeats.
        dataset_dirs, reg_dataset_dirs: {folder: {"n_repeats": n, "img_count": n}}.
        tag_frequency: {folder: {tag: count}}, without repeats.
        bucket_info: {"buckets": {"0": {"resolution": [w, h], "count": n}}, "mean_img_ar_error": x}.
        resolution: (width, height) in pixels.
        min_snr_gamma, noise_offset: None = off.
        network_module: which program's loader the file is for. num_validation_images: pictures held out.
        settings: further settings by kohya's key without `ss_`, as sd-scripts has their values.
        datasets: one record per data set of a dataset file; None = the run had no such file.
        modelspec: optional entries of the model specification (title, author, trigger_phrase ...); "" = none.
        minimal: keep only what a loader needs.
    """

    family: Family
    prediction: str
    output_name: str
    sd_model_name: str
    resolution: tuple[int, int]
    network_dim: int
    network_alpha: float
    optimizer: str
    learning_rate: float | str
    steps: int
    epoch: int
    max_train_steps: int
    num_epochs: int
    num_train_images: int
    num_batches_per_epoch: int
    batch_size_per_device: int
    seed: int
    session_id: int
    training_started_at: float
    training_finished_at: float
    training_comment: str | None = None
    sd_model_hash: str | None = None
    new_sd_model_hash: str | None = None
    clip_skip: int | None = None
    max_token_length: int | None = None
    network_args: Mapping[str, Any] = field(default_factory=dict)
    unet_lr: float | str | None = None
    text_encoder_lr: float | str | None = None
    lr_scheduler: str = "constant"
    lr_warmup_steps: int = 0
    max_grad_norm: float = 1.0
    gradient_accumulation_steps: int = 1
    gradient_checkpointing: bool = False
    mixed_precision: str = "no"
    cache_latents: bool = True
    num_reg_images: int = 0
    dataset_dirs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    reg_dataset_dirs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tag_frequency: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    bucket_info: Mapping[str, Any] = field(default_factory=dict)
    enable_bucket: bool = True
    bucket_no_upscale: bool = False
    min_bucket_reso: int | None = None
    max_bucket_reso: int | None = None
    flip_aug: bool = False
    shuffle_caption: bool = False
    keep_tokens: int = 0
    caption_dropout_rate: float = 0.0
    caption_tag_dropout_rate: float = 0.0
    prior_loss_weight: float = 1.0
    min_snr_gamma: float | None = None
    noise_offset: float | None = None
    zero_terminal_snr: bool = False
    network_module: str = "networks.lora"
    num_validation_images: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    datasets: Sequence[Mapping[str, Any]] | None = None
    modelspec: Mapping[str, str] = field(default_factory=dict)
    minimal: bool = False


def build(info: RunInfo) -> dict[str, str]:
    """Returns the `ss_*` and `modelspec.*` record of a run; the caller adds `hashes`."""
    values: dict[str, Any] = {**_UNTOUCHED, **info.settings}
    values.update(
        (entry.name, getattr(info, entry.name)) for entry in dataclasses.fields(info) if entry.name not in _NOT_SS
    )
    values["total_batch_size"] = info.batch_size_per_device * info.gradient_accumulation_steps
    values["sd_scripts_commit_hash"] = IMPLEMENTATION
    values["v2"] = info.family.name == "sd2"
    values["base_model_version"] = (info.prediction == "v" and info.family.base_version_v) or info.family.base_version
    if info.network_args:
        values["network_args"] = {**info.network_args, "dropout": values["network_dropout"]}
    else:
        del values["network_args"]
    for key in ("datasets",) if info.datasets is None else _OF_ONE_DATASET:
        del values[key]
    kept = _MINIMAL if info.minimal else values.keys()
    return {f"ss_{key}": _text(value) for key, value in values.items() if key in kept} | _modelspec(info)


def _modelspec(info: RunInfo) -> dict[str, str]:
    """Returns the record of the SAI model metadata specification, version 1.0.1."""
    width, height = info.resolution
    record = {
        "sai_model_spec": "1.0.1",
        "architecture": (info.prediction == "v" and info.family.modelspec_v) or info.family.modelspec,
        "implementation": info.family.implementation,
        "implementation_version": IMPLEMENTATION,
        "title": info.output_name,
        "resolution": f"{width}x{height}",
        "date": datetime.fromtimestamp(int(info.training_finished_at)).isoformat(),
        "prediction_type": info.prediction,
    }
    record |= {key: text for key, text in info.modelspec.items() if text}
    if info.clip_skip is not None:
        record["encoder_layer"] = str(info.clip_skip)
    return {f"modelspec.{key}": value for key, value in record.items()}


def _text(value: object) -> str:
    """Returns a value as sd-scripts spells it."""
    if isinstance(value, (Mapping, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def hashes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, str]:
    """Returns the `sshs_*` hashes of a file: both are taken of the file as it would be with its `ss_` metadata only.

    `sshs_model_hash` is the SHA-256 of the tensor area; `sshs_legacy_hash` the first 8 digits of the SHA-256 of the
    64 KiB that begin at 1 MiB (nothing, for a smaller file).
    """
    content = layout.pieces(tensors, {key: text for key, text in metadata.items() if key.startswith("ss_")})
    begin = next(content)
    model, legacy, at = hashlib.sha256(), hashlib.sha256(begin[_LEGACY.start:_LEGACY.stop]), len(begin)
    for piece in content:
        model.update(piece)
        legacy.update(piece[max(0, _LEGACY.start - at):max(0, _LEGACY.stop - at)])
        at += len(piece)
    return {MODEL_HASH: model.hexdigest(), "sshs_legacy_hash": legacy.hexdigest()[:8]}
