"""The picture folders of the form as a dataset file of sd-scripts (TOML)."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_trainer.data.scanning.names import repeats_and_caption
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange import toml_text
from lib_trainer.training.interchange.option import Value

DATASET_OPTIONS = (
    "resolution", "enable_bucket", "min_bucket_reso", "max_bucket_reso", "bucket_reso_steps", "bucket_no_upscale",
    "validation_split", "validation_seed", "resize_interpolation",
)
SUBSET_OPTIONS = (
    "caption_extension", "caption_separator", "keep_tokens", "keep_tokens_separator", "secondary_separator",
    "enable_wildcard", "caption_prefix", "caption_suffix", "shuffle_caption", "caption_dropout_rate",
    "caption_dropout_every_n_epochs", "caption_tag_dropout_rate", "token_warmup_min", "token_warmup_step", "flip_aug",
    "color_aug", "random_crop", "face_crop_aug_range", "alpha_mask", "conditioning_data_dir",
)
"""Options that a dataset file may hold, by where they belong."""


def write(config: TrainConfig, options: Mapping[str, Value]) -> str:
    """Returns the dataset file of a config.

    Args:
        config: the settings.
        options: the same in sd-scripts' words; what a dataset file holds is taken from them.
    """
    general = {name: options[name] for name in SUBSET_OPTIONS if name in options}
    dataset: dict[str, Any] = {name: options[name] for name in DATASET_OPTIONS if name in options}
    if "resolution" in dataset:
        dataset["resolution"] = [int(side) for side in str(dataset["resolution"]).split(",")]
    dataset["batch_size"] = config.batch_size
    text = "# Written by Train LoRA; `--dataset_config` of sd-scripts.\n" + toml_text.section("[general]", general)
    text += toml_text.section("[[datasets]]", dataset)
    for folder, is_reg in ((config.images, False), (config.reg_images, True)):
        for subset in subsets(config, folder, is_reg):
            text += toml_text.section("  [[datasets.subsets]]", subset)
    return text


def subsets(config: TrainConfig, folder: str, is_reg: bool) -> list[dict[str, Any]]:
    """Returns the subsets of a picture folder: its sub-folders named N_caption, or else the folder itself."""
    if not folder:
        return []
    named = [(path, read) for path in folders(folder) if (read := repeats_and_caption(path.name))]
    found: list[dict[str, Any]] = [
        {"image_dir": str(path), "num_repeats": repeats, "class_tokens": caption} for path, (repeats, caption) in named
    ]
    if not found:
        tokens = {"class_tokens": config.trigger} if config.trigger and not is_reg else {}
        found = [{"image_dir": folder, "num_repeats": 1 if is_reg else config.repeats, **tokens}]
    return [{**subset, **({"is_reg": True} if is_reg else {})} for subset in found]


def folders(folder: str) -> list[Path]:
    """Returns the folders inside a folder, sorted; none where it cannot be read."""
    try:
        return sorted(path for path in Path(folder).iterdir() if path.is_dir())
    except OSError:
        return []


def is_flat(folder: str) -> bool:
    """Whether a folder holds its pictures itself, which `train_data_dir` cannot say."""
    return Path(folder).is_dir() and not any(repeats_and_caption(path.name) for path in folders(folder))
