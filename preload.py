"""Command-line options that a WebUI gets from this extension; it calls `preload` before it reads its own."""
from __future__ import annotations

import argparse


def preload(parser: argparse.ArgumentParser) -> None:
    """Adds our options, all prefixed `--lora-trainer-`; each names a folder that is made when it is missing."""
    for name, what in (
        ("settings", "settings of the Train LoRA tab, block presets and dropped pictures (default: lora-trainer in the "
                     "data folder)"),
        ("cache", "encoded pictures and captions of the Train LoRA tab (default: cache in its settings folder)"),
        ("outputs", "previews, logs and settings of every training (default: the WebUI's own outputs folder)"),
    ):
        parser.add_argument(
            f"--lora-trainer-{name}-dir", type=str, default=None, metavar="DIR", help=f"folder for {what}")
