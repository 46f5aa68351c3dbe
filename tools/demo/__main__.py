"""Trains, exports and measures the demo checkpoint: `python -m tools.demo --work DIR --stage STAGE`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from tools.demo import dataset, evaluate, export, latents, reading, text, unet, vae
from tools.demo.settings import ASSETS, DETECTOR, TEXT, UNET, VAE

STAGES = ("vae", "latents", "text", "unet", "decoder", "detector", "export", "evaluate", "dataset")


def main() -> None:
    """Run one stage, or all in order."""
    parser = argparse.ArgumentParser(prog="tools.demo", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of the training state (not in the repository)")
    parser.add_argument("--stage", choices=("all", *STAGES), default="all")
    parser.add_argument("--steps", type=int, help="training steps of the stage, in place of the default")
    parser.add_argument("--guidance", type=float, default=5.0, help="guidance scale of the evaluation")
    parser.add_argument("--count", type=int, default=200, help="generations of the evaluation")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if args.stage == "all" else (args.stage,):
        _run(stage, args)


def _run(stage: str, args: argparse.Namespace) -> None:
    if stage == "vae":
        vae.train(args.work, args.steps or VAE.steps)
    elif stage == "decoder":
        vae.train(args.work, args.steps or VAE.decoder_steps, decoder_only=True)
    elif stage == "latents":
        latents.cache(args.work)
    elif stage == "text":
        text.train(args.work, args.steps or TEXT.steps)
    elif stage == "unet":
        unet.train(args.work, args.steps or UNET.steps)
    elif stage == "detector":
        reading.train(args.work, args.steps or DETECTOR.steps, ASSETS / "detector.safetensors")
        print(json.dumps(reading.measure(args.work), indent=1))
    elif stage == "export":
        print(export.write(args.work).stat().st_size, "bytes")
    elif stage == "evaluate":
        print(json.dumps(evaluate.run(args.work, count=args.count, guidance=args.guidance), indent=1))
    else:
        dataset.write()


if __name__ == "__main__":
    main()
