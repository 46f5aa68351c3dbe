"""The settings of a training run: one dataclass, one entry per setting.

The field's metadata carry everything the faces need: label, help, group, kohya's name, choices, range. The tab, the
CLI, the API and the TOML/JSON files are generated from them; to add a setting is to add a field. How written values
become fields is in `config_values.py`, which settings contradict each other in `config_rules.py`; what needs the disk
or the model is in `check.py`.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lib_trainer.errors import Problems
from lib_trainer.training import config_values

T = TypeVar("T", bool, int, float, str)

GROUPS = ("Start", "Data", "Network", "Blocks", "Learning rate", "Noise and loss", "Memory", "Saving", "Previews")
"""The folds of the form, in the order a trainer of LoRAs expects; "Start" is the first screen."""

MAX_SEED = 2**53 - 1
"""Greatest seed: the greatest whole number that JavaScript and JSON carry exactly."""


def setting(
    default: T,
    label: str,
    help: str,
    group: str,
    kohya: str = "",
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    lines: int = 1,
    path: bool = False,
) -> T:
    """Declares a field of `TrainConfig` with all that its faces need.

    Args:
        default: value of an untouched form.
        label: short name on the page.
        help: what it does, what to choose; shown beside the control.
        group: one of GROUPS.
        kohya: sd-scripts' name where it differs from the field's.
        choices: allowed words.
        minimum: least allowed number. maximum: greatest.
        lines: height of a text control; only texts of several lines may contain line ends.
        path: whether the text is a file or folder (quotes around it are taken off, `~` is the home folder).
    """
    return dataclasses.field(
        default=default,
        metadata={
            "label": label, "help": help, "group": group, "kohya": kohya, "choices": choices,
            "minimum": minimum, "maximum": maximum, "lines": lines, "path": path,
        },
    )


@dataclass(frozen=True)
class TrainConfig:
    """Everything a person can set. Empty text and 0 mean "automatic" only where the help says so."""

    # Start
    name: str = setting("", "Name", "Name of the LoRA: the file becomes NAME.safetensors and the tag <lora:NAME:1>. "
        "An existing file is never overwritten.", "Start", "output_name")
    images: str = setting("", "Picture folder", "Folder with the pictures: either sub-folders named N_caption (N = "
        "repeats) or the pictures themselves, with .txt captions of the same name.", "Start", "train_data_dir",
        path=True)
    base_model: str = setting("", "Base checkpoint", "Checkpoint to train on: a file, or a name from the host's list. "
        "Empty = the loaded one. Another one is loaded for the run, and the loaded one comes back afterwards.", "Start",
        "pretrained_model_name_or_path", path=True)
    # Data
    reg_images: str = setting("", "Regularisation folder", "Pictures of the same class without your subject, so that "
        "the class stays as it was (clothes stay changeable). Balanced 1:1 with the training pictures.", "Data",
        "reg_data_dir", path=True)
    repeats: int = setting(10, "Repeats", "How often a picture of a flat folder is used per epoch. N_caption "
        "sub-folders carry their own number.", "Data", "dataset_repeats", minimum=1, maximum=1000000)
    resolution: str = setting("", "Resolution", "Pixels: 512, or 512,768 for width,height. Empty = the checkpoint's "
        "own size.", "Data")
    buckets: bool = setting(True, "Aspect buckets", "Keep the pictures' aspect ratios by sorting them into sizes of "
        "equal area. Off = everything is cropped to the resolution.", "Data", "enable_bucket")
    bucket_min: int = setting(0, "Smallest bucket side", "Pixels; 0 = half the resolution (256 at 512).", "Data",
        "min_bucket_reso", minimum=0, maximum=16384)
    bucket_max: int = setting(0, "Largest bucket side", "Pixels; 0 = twice the resolution (1024 at 512).", "Data",
        "max_bucket_reso", minimum=0, maximum=16384)
    bucket_no_upscale: bool = setting(False, "Never enlarge", "Pictures smaller than the resolution keep their size "
        "(rounded down to the bucket step).", "Data")
    caption_extension: str = setting(".txt", "Caption files", "Ending of the caption files beside the pictures.",
        "Data")
    trigger: str = setting("", "Caption without file", "Caption of pictures that have no caption file (flat folders; "
        "N_caption folders use their own).", "Data", "class_tokens")
    shuffle_caption: bool = setting(False, "Shuffle tags", "Shuffle comma-separated tags at every use.", "Data")
    keep_tokens: int = setting(0, "Keep first tags", "This many tags stay first and are never dropped (the trigger "
        "word: 1).", "Data", minimum=0, maximum=1000)
    caption_dropout: float = setting(0.0, "Caption dropout", "Chance that a picture is shown without its caption.",
        "Data", "caption_dropout_rate", minimum=0, maximum=1)
    tag_dropout: float = setting(0.0, "Tag dropout", "Chance that a tag is left out.", "Data",
        "caption_tag_dropout_rate", minimum=0, maximum=1)
    flip: bool = setting(False, "Mirror", "Show half the pictures mirrored. Not for asymmetric characters.", "Data",
        "flip_aug")
    batch_size: int = setting(1, "Batch size", "Pictures per step.", "Data", "train_batch_size", minimum=1,
        maximum=4096)
    # Network
    rank: int = setting(16, "Rank (dim)", "Size of the LoRA. Characters 4-16, styles 16-64.", "Network", "network_dim",
        minimum=1, maximum=8192)
    alpha: float = setting(8.0, "Alpha", "Strength scale: the LoRA acts times alpha/rank. Half the rank is common; 1 "
        "with a big rank learns slowly.", "Network", "network_alpha", minimum=1e-06)
    conv_rank: int = setting(0, "Conv rank", "0 = plain LoRA (LierLa). Above 0 adds the 3x3 convolutions "
        "(C3Lier/LoCon): more detail, overfits sooner.", "Network", "conv_dim", minimum=0, maximum=8192)
    conv_alpha: float = setting(1.0, "Conv alpha", "Alpha of the convolutions.", "Network", minimum=1e-06)
    continue_from: str = setting("", "Continue from LoRA", "A LoRA file (or its name) whose weights to start from. "
        "Rank and alpha are taken from the file.", "Network", "network_weights", path=True)
    train_unet: bool = setting(True, "Train U-Net", "Off = only the text encoder learns.", "Network")
    train_text_encoder: bool = setting(True, "Train text encoder", "Off = only the U-Net learns (faster; usual for "
        "styles).", "Network")
    # Blocks
    blocks: str = setting("", "Blocks", "U-Net blocks to train, 17-block names and ranges: IN04-IN07, OUT03-OUT06. "
        "Empty = all. Fewer blocks = smaller file, faster steps. BASE is governed by 'Train text encoder'.", "Blocks")
    # Learning rate
    optimizer: str = setting("AdamW", "Optimiser", "AdamW is the safe choice; Prodigy and D-Adaptation find the rate "
        "themselves (set it to 1).", "Learning rate", "optimizer_type")
    optimizer_args: str = setting("", "Optimiser arguments", "As in sd-scripts: betas=0.9,0.999 weight_decay=0.01",
        "Learning rate")
    learning_rate: str = setting("1e-4", "Learning rate", "A number, or a step list such as 5e-6:2000, 5e-7:10000, "
        "5e-8.", "Learning rate")
    unet_lr: str = setting("", "U-Net learning rate", "Empty = the learning rate above.", "Learning rate")
    text_encoder_lr: str = setting("", "Text encoder learning rate", "Empty = the learning rate above. Half the "
        "U-Net's is common.", "Learning rate")
    scheduler: str = setting("constant", "Schedule", "How the rate changes over the run.", "Learning rate",
        "lr_scheduler",
        choices=("constant", "constant_with_warmup", "cosine", "cosine_with_restarts", "linear", "polynomial"))
    warmup: str = setting("0", "Warm-up", "Steps (100) or part of the run (5% or 0.05) in which the rate rises from 0.",
        "Learning rate", "lr_warmup_steps")
    cycles: int = setting(1, "Restarts", "Cycles of cosine_with_restarts.", "Learning rate", "lr_scheduler_num_cycles",
        minimum=1, maximum=10000)
    power: float = setting(1.0, "Power", "Power of the polynomial schedule.", "Learning rate", "lr_scheduler_power",
        minimum=0)
    epochs: int = setting(10, "Epochs", "Passes over all pictures with their repeats.", "Learning rate",
        "max_train_epochs", minimum=0, maximum=1000000)
    steps: int = setting(0, "Steps", "Optimiser steps; 0 = as many as the epochs need. Above 0 it wins over the "
        "epochs.", "Learning rate", "max_train_steps", minimum=0, maximum=100000000)
    seed: int = setting(42, "Seed", "Same seed, same settings, same machine: the same LoRA bit for bit (CPU).",
        "Learning rate", minimum=0, maximum=MAX_SEED)
    # Noise and loss
    min_snr_gamma: float = setting(0.0, "Min-SNR gamma", "Evens out the timesteps' weights (5 is usual); 0 = off. "
        "Hang et al. 2023.", "Noise and loss", minimum=0)
    noise_offset: float = setting(0.0, "Noise offset", "Lets the model learn overall brightness: 0.03-0.1; 0 = off.",
        "Noise and loss", minimum=0, maximum=1)
    min_timestep: int = setting(0, "First timestep", "0 = the least noise.", "Noise and loss", minimum=0, maximum=999)
    max_timestep: int = setting(1000, "Last timestep", "1000 = pure noise.", "Noise and loss", minimum=1, maximum=1000)
    prior_loss_weight: float = setting(1.0, "Weight of regularisation", "Loss of regularisation pictures times this.",
        "Noise and loss", minimum=0)
    max_grad_norm: float = setting(1.0, "Gradient clipping", "Largest norm of the whole gradient; 0 = off.",
        "Noise and loss", minimum=0)
    clip_skip: int = setting(1, "Clip skip", "Text-encoder layer counted from the end; anime models use 2.",
        "Noise and loss", minimum=1, maximum=12)
    max_tokens: str = setting("75", "Caption length", "Tokens of a caption that are read.", "Noise and loss",
        "max_token_length", choices=("75", "150", "225"))
    # Memory
    precision: str = setting("auto", "Precision", "auto = what the loaded model computes in. The LoRA itself always "
        "learns in fp32.", "Memory", "mixed_precision", choices=("auto", "fp32", "bf16", "fp16"))
    gradient_checkpointing: bool = setting(False, "Gradient checkpointing", "Much less memory for about a third more "
        "time.", "Memory")
    gradient_accumulation: int = setting(1, "Gradient accumulation", "Batches per optimiser step.", "Memory",
        "gradient_accumulation_steps", minimum=1, maximum=100000)
    cache_latents: bool = setting(True, "Cache latents", "Encode every picture once instead of at every use.", "Memory")
    cache_to_disk: bool = setting(False, "Keep the cache", "Keep cached latents on disk for the next run.", "Memory",
        "cache_latents_to_disk")
    cache_captions: bool = setting(True, "Cache captions", "Encode every distinct caption once (when the text encoder "
        "is not trained).", "Memory", "cache_text_encoder_outputs")
    vae_batch_size: int = setting(1, "Caching batch", "Pictures encoded at once while caching.", "Memory", minimum=1,
        maximum=4096)
    # Saving
    output_folder: str = setting("", "Save to", "Folder of the finished LoRA; empty = the host's LoRA folder, where "
        "the tag finds it.", "Saving", "output_dir", path=True)
    save_precision: str = setting("fp16", "File precision", "fp16 halves the file.", "Saving",
        choices=("fp16", "bf16", "float"))
    save_every_epochs: int = setting(0, "Save every N epochs", "NAME-000001.safetensors ...; 0 = only at the end.",
        "Saving", "save_every_n_epochs", minimum=0, maximum=1000000)
    save_every_steps: int = setting(0, "Save every N steps", "NAME-step00000100.safetensors ...; 0 = off.", "Saving",
        "save_every_n_steps", minimum=0, maximum=100000000)
    comment: str = setting("", "Comment", "Free text kept in the file.", "Saving", "training_comment")
    # Previews
    preview_prompts: str = setting("", "Preview prompts", "One prompt per line, drawn through the host's own pipeline.",
        "Previews", "sample_prompts", lines=3)
    preview_like_txt2img: bool = setting(False, "Use the txt2img tab's last settings", "Size, sampler, steps, hires "
        "fix, styles and negative prompt as in the last picture of the txt2img tab; without preview prompts its prompt "
        "too. The embedded host has the settings below instead.", "Previews")
    preview_negative: str = setting("", "Negative prompt", "For all previews.", "Previews")
    preview_every_steps: int = setting(0, "Preview every N steps", "0 = off.", "Previews", "sample_every_n_steps",
        minimum=0, maximum=100000000)
    preview_every_epochs: int = setting(0, "Preview every N epochs", "0 = off.", "Previews", "sample_every_n_epochs",
        minimum=0, maximum=1000000)
    preview_seed: int = setting(1, "Preview seed", "The same for every preview, so that only the training changes.",
        "Previews", minimum=0, maximum=MAX_SEED)
    preview_steps: int = setting(20, "Preview steps", "Sampling steps.", "Previews", minimum=1, maximum=150)
    preview_cfg: float = setting(7.0, "Preview CFG", "Guidance scale.", "Previews", minimum=1, maximum=30)
    preview_width: int = setting(0, "Preview width", "Pixels; 0 = the checkpoint's own size.", "Previews", minimum=0,
        maximum=16384)
    preview_height: int = setting(0, "Preview height", "Pixels; 0 = the checkpoint's own size.", "Previews", minimum=0,
        maximum=16384)
    preview_sampler: str = setting("", "Preview sampler", "Name as in txt2img; empty = the host's default.", "Previews")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Returns the config of values by field name or kohya's name; what is not named keeps its default.

        Raises:
            Problems: unknown names, wrong types, values out of range, settings that contradict each other: all of them.
        """
        config, faults = cls.read(values)
        if faults:
            raise Problems(faults)
        return config

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> tuple[TrainConfig, list[str]]:
        """Returns the config (defaults where a value was unusable) and one sentence per fault.

        For callers that look for further faults before they report all of them together.
        """
        from lib_trainer.training import config_rules

        fields, faults, bad = config_values.read(dataclasses.fields(cls), values)
        config = cls(**fields)
        return config, faults + config_rules.faults(config, bad)

    def to_dict(self) -> dict[str, Any]:
        """Returns all settings by field name, ready for JSON; `from_dict` takes them back."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Reads a TOML or JSON file; sections are only headings.

        Raises:
            UserError: the file is missing or unreadable. Problems: its settings are wrong.
        """
        return cls.from_dict(config_values.read_file(path))

    def dump(self, path: Path) -> None:
        """Writes all settings as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        config_values.write_file(path, self.to_dict())
