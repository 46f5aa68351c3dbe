"""What the first screen asks: name, pictures, checkpoint."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class StartSettings:
    """What the first screen asks: name, pictures, checkpoint."""

    name: str = setting("", "Name", "Name of the LoRA: the file becomes NAME.safetensors and the tag <lora:NAME:1>. "
        "An existing file is never overwritten.", "Start", "output_name")
    images: str = setting("", "Picture folder", "Folder with the pictures: either sub-folders named N_caption (N = "
        "repeats) or the pictures themselves, with .txt captions of the same name.", "Start", "train_data_dir",
        path=True)
    base_model: str = setting("", "Base checkpoint", "Checkpoint to train on: a file, or a name from the host's list. "
        "Empty = the loaded one. Another one is loaded for the run, and the loaded one comes back afterwards.", "Start",
        "pretrained_model_name_or_path", path=True)
