"""Captions and how they are read."""
from __future__ import annotations

from lib_trainer.training.interchange.option import joined, needless, same

OPTIONS = (
    joined("caption_extension", "text", ".caption", "caption_extension"),
    joined("caption_extention", "text", None, "caption_extension"),
    same("caption_separator", "text", ","),
    same("keep_tokens_separator", "text", "", off=""),
    same("secondary_separator", "text", None, off=""),
    same("enable_wildcard", "flag", False, "wildcards"),
    same("caption_prefix", "text", None, off=""),
    same("caption_suffix", "text", None, off=""),
    same("shuffle_caption", "flag", False),
    same("keep_tokens", "int", 0),
    same("caption_dropout_rate", "float", 0.0, "caption_dropout"),
    same("caption_dropout_every_n_epochs", "int", 0, "caption_dropout_every"),
    same("caption_tag_dropout_rate", "float", 0.0, "tag_dropout"),
    same("token_warmup_min", "int", 1),
    same("token_warmup_step", "float", 0),
    same("weighted_captions", "flag", False),
    same("clip_skip", "int", None, off=1),
    joined("max_token_length", "int", None, "max_tokens"),
    needless("tokenizer_cache_dir", "path", None, "The tokenizer is part of the program; nothing is downloaded."),
)
