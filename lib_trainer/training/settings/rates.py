"""How fast and how long it learns: optimiser, learning rates, schedule, length, seed."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import MAX_SEED, setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class RateSettings:
    """How fast and how long it learns: optimiser, learning rates, schedule, length, seed."""

    epochs: int = setting(10, "Epochs", "Passes over all pictures with their repeats.", "Steps and learning rate",
        "max_train_epochs", minimum=0, maximum=1000000)
    steps: int = setting(0, "Steps", "Optimiser steps; 0 = as many as the epochs need. Above 0 it wins over the "
        "epochs.", "Steps and learning rate", "max_train_steps", minimum=0, maximum=100000000)
    optimizer: str = setting("AdamW", "Optimiser", "AdamW is the safe choice; Prodigy and D-Adaptation find the rate "
        "themselves (set it to 1). Any class of torch.optim, or package.module.Class, can be written as well.",
        "Steps and learning rate", "optimizer_type")
    learning_rate: str = setting("1e-4", "Learning rate", "A number, or a step list such as 5e-6:2000, 5e-7:10000, "
        "5e-8.", "Steps and learning rate")
    unet_lr: str = setting("", "U-Net learning rate", "Empty = the learning rate above.", "Steps and learning rate")
    text_encoder_lr: str = setting("", "Text encoder learning rate", "Empty = the learning rate above. Half the "
        "U-Net's is common. 0 = it keeps its layers in the file but does not learn.", "Steps and learning rate")
    scheduler: str = setting("constant", "Schedule", "How the rate changes over the run. Any class of "
        "torch.optim.lr_scheduler, or package.module.Class, can be written as well.", "Steps and learning rate",
        "lr_scheduler")
    warmup: str = setting("0", "Warm-up", "Steps (100) or part of the run (5% or 0.05) in which the rate rises from 0.",
        "Steps and learning rate", "lr_warmup_steps")
    optimizer_args: str = setting("", "Optimiser arguments", "As in sd-scripts: betas=0.9,0.999 weight_decay=0.01",
        "Steps and learning rate")
    seed: int = setting(42, "Seed", "Same seed, same settings, same machine: the same LoRA bit for bit (CPU).",
        "Steps and learning rate", minimum=0, maximum=MAX_SEED)
    scheduler_args: str = setting("", "Schedule arguments", "Of piecewise_constant: step_rules=1:1000,0.1:2000,0.01. "
        "Of a class: T_max=1000 eta_min=1e-6.", "Steps and learning rate", "lr_scheduler_args",
        part="More for the schedule")
    decay: str = setting("0", "Decay", "Last steps (100) or part of the run (20%) in which warmup_stable_decay falls.",
        "Steps and learning rate", "lr_decay_steps", part="More for the schedule")
    cycles: int = setting(1, "Restarts", "Cycles of cosine_with_restarts; half-waves of cosine_with_min_lr and "
        "warmup_stable_decay.", "Steps and learning rate", "lr_scheduler_num_cycles", minimum=1, maximum=10000,
        part="More for the schedule")
    power: float = setting(1.0, "Power", "Power of the polynomial schedule.", "Steps and learning rate",
        "lr_scheduler_power",
        minimum=0, part="More for the schedule")
    timescale: int = setting(0, "Time scale", "Of inverse_sqrt: steps in which the rate falls to 0.7 of itself. 0 = "
        "the warm-up's.", "Steps and learning rate", "lr_scheduler_timescale", minimum=0, maximum=100000000,
        part="More for the schedule")
    min_lr_ratio: float = setting(0.0, "Least rate", "Of cosine_with_min_lr and warmup_stable_decay: the part of the "
        "rate at which they end, such as 0.1.", "Steps and learning rate", "lr_scheduler_min_lr_ratio", minimum=0,
        maximum=1,
        part="More for the schedule")
    stop_text_encoder: str = setting("", "Stop the text encoder after", "Steps (500) or part of the run (30%) after "
        "which the text encoder learns no more; the U-Net goes on. Empty = never.", "Steps and learning rate",
        "stop_text_encoder_training", part="LoRA+, text encoders, average")
    text_encoder2_lr: str = setting("", "Second text encoder's learning rate", "For SDXL. Empty = that of the first.",
        "Steps and learning rate", part="LoRA+, text encoders, average")
    lora_plus: float = setting(0.0, "LoRA+ ratio", "How many times faster the up factors learn than the down factors "
        "(Hayou et al. 2024); 16 is theirs. 0 = off.", "Steps and learning rate", "loraplus_lr_ratio", minimum=0,
        maximum=10000,
        part="LoRA+, text encoders, average")
    lora_plus_unet: float = setting(0.0, "LoRA+ ratio of the U-Net", "0 = the ratio above.", "Steps and learning rate",
        "loraplus_unet_lr_ratio", minimum=0, maximum=10000, part="LoRA+, text encoders, average")
    lora_plus_text_encoder: float = setting(0.0, "LoRA+ ratio of the text encoder", "0 = the ratio above.",
        "Steps and learning rate", "loraplus_text_encoder_lr_ratio", minimum=0, maximum=10000,
        part="LoRA+, text encoders, average")
    ema_decay: float = setting(0.0, "Average (EMA) decay", "Keeps a running average of the LoRA, which files, previews "
        "and validation use: smoother than the last step. 0.999 averages about 1000 steps. 0 = off.",
        "Steps and learning rate",
        minimum=0, maximum=0.999999, part="LoRA+, text encoders, average")
