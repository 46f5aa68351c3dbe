"""The command `generate`: draws one picture with the embedded host."""
from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from lib_trainer.cli import embedded
from lib_trainer.cli.exit_codes import DONE
from lib_trainer.errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options and the command."""
    embedded.add_folders(parser)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--negative", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=7.0)
    parser.add_argument("--width", type=int, default=0, help="pixels; 0 = the checkpoint's own size")
    parser.add_argument("--height", type=int, default=0, help="pixels; 0 = the checkpoint's own size")
    parser.add_argument("--sampler", default="", help="empty = the host's default")
    parser.add_argument("--clip-skip", type=int, default=1)
    parser.add_argument("--presets", type=Path, help="file of block-weight presets (default: in the settings folder)")
    parser.add_argument("--elemental", type=Path, metavar="FILE", help="file of elemental rules, likewise")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG")
    parser.set_defaults(command=_generate)


def _generate(arguments: argparse.Namespace) -> int:
    from lib_trainer.txt2img_host import GenerateRequest

    if arguments.out.exists():
        raise UserError(f"{arguments.out} exists and is not overwritten: give another --out.")
    request = GenerateRequest(
        prompt=arguments.prompt, negative=arguments.negative, seed=arguments.seed, steps=arguments.steps,
        cfg=arguments.cfg, width=arguments.width, height=arguments.height, sampler=arguments.sampler,
        clip_skip=arguments.clip_skip,
    )
    picture = embedded.app(arguments, arguments.presets, arguments.elemental).host.generate(request)[0]
    if picture.file is None:
        raise RuntimeError("The host has not saved the picture.")
    try:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(picture.file, arguments.out)
    except OSError as error:
        raise UserError(f"The picture is in {picture.file}, but {arguments.out} cannot be written ({error.strerror}): "
                        "give another --out.") from None
    for comment in picture.comments:
        print(comment, file=sys.stderr)
    return DONE
