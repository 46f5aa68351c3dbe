"""Files: where, how often, what is told in them."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True)
class SavingSettings:
    """Files: where, how often, what is told in them."""

    output_folder: str = setting("", "Save to", "Folder of the finished LoRA; empty = the host's LoRA folder, where "
        "the tag finds it.", "Saving", "output_dir", path=True)
    save_precision: str = setting("fp16", "File precision", "fp16 halves the file.", "Saving",
        choices=("fp16", "bf16", "float"))
    save_every_epochs: int = setting(0, "Save every N epochs", "NAME-000001.safetensors ...; 0 = only at the end.",
        "Saving", "save_every_n_epochs", minimum=0, maximum=1000000)
    save_every_steps: int = setting(0, "Save every N steps", "NAME-step00000100.safetensors ...; 0 = off.", "Saving",
        "save_every_n_steps", minimum=0, maximum=100000000)
    comment: str = setting("", "Comment", "Free text kept in the file.", "Saving", "training_comment")
