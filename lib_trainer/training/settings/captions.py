"""What the model is told about a picture."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True)
class CaptionSettings:
    """What the model is told about a picture."""

    caption_extension: str = setting(".txt", "Caption files", "Ending of the caption files beside the pictures.",
        "Captions")
    trigger: str = setting("", "Caption without file", "Caption of pictures that have no caption file (flat folders; "
        "N_caption folders use their own).", "Captions", "class_tokens")
    shuffle_caption: bool = setting(False, "Shuffle tags", "Shuffle comma-separated tags at every use.", "Captions")
    keep_tokens: int = setting(0, "Keep first tags", "This many tags stay first and are never dropped (the trigger "
        "word: 1).", "Captions", minimum=0, maximum=1000)
    caption_dropout: float = setting(0.0, "Caption dropout", "Chance that a picture is shown without its caption.",
        "Captions", "caption_dropout_rate", minimum=0, maximum=1)
    tag_dropout: float = setting(0.0, "Tag dropout", "Chance that a tag is left out.", "Captions",
        "caption_tag_dropout_rate", minimum=0, maximum=1)
    clip_skip: int = setting(1, "Clip skip", "Text-encoder layer counted from the end; anime models use 2.",
        "Captions", minimum=1, maximum=12)
    max_tokens: str = setting("75", "Caption length", "Tokens of a caption that are read.", "Captions",
        "max_token_length", choices=("75", "150", "225"))
