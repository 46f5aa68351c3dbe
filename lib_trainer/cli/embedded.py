"""The program's own host on the command line: its folders as options, and the app that they make."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_trainer.bootstrap import EmbeddedApp
    from lib_trainer.training.world import World


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say where checkpoints, LoRAs and pictures lie."""
    from lib_trainer.bootstrap import LORAS_DIR, MODELS_DIR, OUTPUTS_DIR

    parser.add_argument("--model", type=Path, help="checkpoint file (default: the demo checkpoint)")
    parser.add_argument("--models-dir", type=Path, default=MODELS_DIR, help="folder of checkpoints")
    parser.add_argument("--loras-dir", type=Path, default=LORAS_DIR, help="folder of LoRA files")
    parser.add_argument("--outputs-dir", type=Path, default=OUTPUTS_DIR, help="folder of pictures, settings and caches")


def app(
    arguments: argparse.Namespace, presets: Path | None = None, elements: Path | None = None, *,
    world: World | None = None, logs: bool = False,
) -> EmbeddedApp:
    """Returns the app of the folders that were given.

    Args:
        arguments: with the options of `add_folders`.
        presets, elements: files of block-weight presets and elemental rules, None = those of the settings folder.
        world: the processes that train together, None = this one alone.
        logs: whether trainings write logs as their settings say.
    """
    from lib_trainer import bootstrap

    return bootstrap.standalone(
        arguments.model, arguments.models_dir, arguments.loras_dir, arguments.outputs_dir, presets, elements,
        world=world, logs=logs,
    )
