"""Files: where, how often, what is told in them."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
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
    save_epoch_ratio: int = setting(0, "Save at least N files", "Of the epochs, evenly: 5 saves after every 4th of 20 "
        "epochs. Wins over 'Save every N epochs'; 0 = off.", "Saving", "save_n_epoch_ratio", minimum=0, maximum=1000000,
        part="How many files")
    keep_last_epochs: int = setting(0, "Keep the last N epoch files", "Older ones that this run wrote are removed; 0 = "
        "keep all.", "Saving", "save_last_n_epochs", minimum=0, maximum=1000000, part="How many files")
    keep_last_steps: int = setting(0, "Keep files of the last N steps", "Step files of this run that are older than "
        "that many steps are removed; 0 = keep all.", "Saving", "save_last_n_steps", minimum=0, maximum=100000000,
        part="How many files")
    file_metadata: str = setting("full", "Record in the file", "full = all that other programs show and that 'train "
        "again like this one' needs; minimal = only what a loader needs: no folders, tags or settings.", "Saving",
        choices=("full", "minimal"), part="What the file tells")
    title: str = setting("", "Title", "Shown by model sites; empty = the name.", "Saving", "metadata_title",
        part="What the file tells")
    author: str = setting("", "Author", "Kept in the file.", "Saving", "metadata_author", part="What the file tells")
    description: str = setting("", "Description", "Kept in the file, for model sites.", "Saving",
        "metadata_description", lines=2, part="What the file tells")
    tags: str = setting("", "Tags", "Kept in the file: words with commas between them, for model sites.", "Saving",
        "metadata_tags", part="What the file tells")
    trigger_phrase: str = setting("", "Trigger phrase", "Kept in the file; empty = what most captions begin with.",
        "Saving", "metadata_trigger_phrase", part="What the file tells")
    usage_hint: str = setting("", "Usage hint", "Kept in the file: how to use it, such as a weight.", "Saving",
        "metadata_usage_hint", part="What the file tells")
    license: str = setting("", "License", "Kept in the file.", "Saving", "metadata_license", part="What the file tells")
    thumbnail: str = setting("", "Thumbnail", "Picture kept in the file (a PNG, JPEG or WebP of up to 1 MB), for model "
        "sites.", "Saving", "metadata_thumbnail", path=True, part="What the file tells")
    comment: str = setting("", "Comment", "Free text kept in the file.", "Saving", "training_comment",
        part="What the file tells")
