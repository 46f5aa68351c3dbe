"""What the model is told about a picture."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
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
    caption_prefix: str = setting("", "Text before captions", "Put before every caption, with a space.", "Captions",
        part="More for captions")
    caption_suffix: str = setting("", "Text behind captions", "Put behind every caption, with a space.", "Captions",
        part="More for captions")
    caption_separator: str = setting(",", "Separator of tags", "What stands between the tags of a caption. Tags that "
        "were shuffled are joined with it again.", "Captions", part="More for captions")
    keep_tokens_separator: str = setting("", "Separator of kept tags", "Such as |||: tags before it stay first, tags "
        "behind a second one stay last, those between are shuffled and dropped. Empty = count them as above.",
        "Captions", part="More for captions")
    secondary_separator: str = setting("", "Second separator", "Such as ;;; between tags that stay together: they move "
        "and are dropped as one tag, then it becomes the separator of tags.", "Captions", part="More for captions")
    caption_dropout_every: int = setting(0, "Caption dropout every N epochs", "Every so many epochs all pictures are "
        "shown without their captions; 0 = never.", "Captions", "caption_dropout_every_n_epochs", minimum=0,
        maximum=1000000, part="More for captions")
    token_warmup_step: float = setting(0.0, "Tag warm-up", "Steps (500) or part of the run (0.2) in which the tags "
        "come in one after the other, from the first; 0 = all tags from the start.", "Captions", minimum=0,
        maximum=100000000, part="More for captions")
    token_warmup_min: int = setting(1, "Tags at the start", "Tags with which the tag warm-up begins.", "Captions",
        minimum=1, maximum=1000, part="More for captions")
    wildcards: bool = setting(False, "Wildcards", "{red|blue} in a caption is one of its choices at every use ({{ and "
        "}} stand for a brace), and of a caption of several lines one line.", "Captions", "enable_wildcard",
        part="More for captions")
    weighted_captions: bool = setting(False, "Weighted captions", "(tag:1.3), (tag) and [tag] make a tag count more or "
        "less, as in prompts; \\( is a plain bracket. A shuffle that parts a pair of brackets breaks them.", "Captions",
        part="More for captions")
