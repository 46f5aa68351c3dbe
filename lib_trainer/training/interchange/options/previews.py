"""Previews: pictures drawn while it trains."""
from __future__ import annotations

from lib_trainer.training.interchange.option import joined, same

OPTIONS = (
    same("sample_every_n_steps", "int", None, "preview_every_steps", off=0),
    same("sample_every_n_epochs", "int", None, "preview_every_epochs", off=0),
    same("sample_at_first", "flag", False, "preview_at_first"),
    joined("sample_prompts", "path", None, "preview_file", "preview_steps", "preview_cfg"),
    joined("sample_sampler", "text", "ddim", "preview_sampler"),
)
