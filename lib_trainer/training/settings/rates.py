"""How fast and how long it learns: optimiser, learning rates, schedule, length, seed."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import MAX_SEED, setting


@dataclass(frozen=True)
class RateSettings:
    """How fast and how long it learns: optimiser, learning rates, schedule, length, seed."""

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
