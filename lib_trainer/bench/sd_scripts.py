"""The same short training here and in sd-scripts, in turns within one run: seconds to the first step, seconds a step.

sd-scripts is somebody else's program at a path that the person gives; it is started as its own command line is. Both
train a LoRA of rank 8 on U-Net and text encoder with cached latents, AdamW, batch 1, on the same checkpoint and six
pictures of the sample dataset. What is compared is ratios of medians: machines differ from minute to minute.
"""
from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.bench.short_run import Report, ShortRun, short_run
from lib_trainer.bench.teach import DATASET
from lib_trainer.errors import UserError

if TYPE_CHECKING:
    from lib_trainer.jobs import Jobs
    from lib_trainer.training.config import TrainConfig

PICTURES = 6
RANK, ALPHA = 8, 4.0
_CLIP = Path(__file__).resolve().parents[1] / "assets" / "clip"
_TOKENIZER = "openai_clip-vit-large-patch14"
"""Folder name under which sd-scripts looks for the tokenizer in `--tokenizer_cache_dir`."""

_MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


@dataclass(frozen=True)
class Rival:
    """Where sd-scripts is, and with which Python it runs."""

    folder: Path
    python: Path


@dataclass(frozen=True)
class Recipe:
    """What both train.

    Attributes:
        checkpoint: a true-size SD 1.5 file: sd-scripts knows no other width.
        size: pixels. precision: "fp32", "bf16" or "fp16". steps: of each run. rounds: how often they take turns.
    """

    checkpoint: Path
    size: int = 128
    precision: str = "fp32"
    steps: int = 12
    rounds: int = 3


@dataclass(frozen=True)
class Compared:
    """Seconds, as medians; a ratio above 1 says that sd-scripts takes longer.

    Attributes:
        first_step: from Start with the model loaded, and from the start of sd-scripts' command, to the end of step 1.
        step: of the settled steps, by the clock. processor: of the same steps, of all processors together.
    """

    first_step: dict[str, float]
    step: dict[str, float]
    processor: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures with their ratios."""
        ratios = {name: value["sd_scripts"] / value["ours"] for name, value in asdict(self).items()}
        return {**asdict(self), "sd_scripts_over_ours": ratios}


def compare(jobs: Jobs, rival: Rival, recipe: Recipe, report: Report) -> Compared:
    """Trains in turns here and there.

    Args:
        jobs: of a host with the recipe's checkpoint loaded.
        rival: sd-scripts. recipe: what both train.
        report: told the figures of every run.

    Raises:
        UserError: no sd-scripts there, or one of the trainings failed.
    """
    if not (rival.folder / "train_network.py").is_file():
        raise UserError(f"There is no train_network.py in '{rival.folder}': give the folder of sd-scripts.")
    runs: dict[str, list[ShortRun]] = {"ours": [], "sd_scripts": []}
    with tempfile.TemporaryDirectory() as folder:
        pictures = _pictures(Path(folder))
        for turn in range(recipe.rounds):
            runs["ours"].append(short_run(jobs, _config(recipe, pictures, turn)))
            runs["sd_scripts"].append(_theirs(rival, recipe, Path(folder), pictures, turn))
            report(f"round {turn + 1}: " + "; ".join(
                f"{side} {statistics.median(found[-1].steps):.3f} s a step, first step after {found[-1].first:.1f} s"
                for side, found in runs.items()
            ))
    return Compared(
        first_step={side: statistics.median(run.first for run in found) for side, found in runs.items()},
        step={side: statistics.median(step for run in found for step in run.steps) for side, found in runs.items()},
        processor={side: statistics.median(step for run in found for step in run.processor)
                   for side, found in runs.items()},
    )


def _pictures(folder: Path) -> Path:
    """Copies the first pictures of the sample dataset with their captions; returns the folder of `1_bench`."""
    target = folder / "pictures" / "1_bench"
    target.mkdir(parents=True)
    for picture in sorted((DATASET / "train").rglob("*.png"))[:PICTURES]:
        shutil.copy(picture, target)
        shutil.copy(picture.with_suffix(".txt"), target)
    return target.parent


def _config(recipe: Recipe, pictures: Path, turn: int) -> TrainConfig:
    from lib_trainer.training.config import TrainConfig

    return TrainConfig(
        name=f"bench-rival-{recipe.precision}-{turn}", images=str(pictures), resolution=str(recipe.size), rank=RANK,
        alpha=ALPHA, steps=recipe.steps, precision=recipe.precision, learning_rate="1e-4",
    )


def _theirs(rival: Rival, recipe: Recipe, folder: Path, pictures: Path, turn: int) -> ShortRun:
    """Runs sd-scripts and takes the time at which its progress bar shows each step.

    Raises:
        UserError: it failed; quotes its last lines.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    begin = time.monotonic()
    with subprocess.Popen(
        _command(rival, recipe, folder, pictures, turn), cwd=rival.folder, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        times, said = _watched(process, recipe.steps)
    if process.returncode or len(times) < recipe.steps:
        raise UserError(f"sd-scripts ended with code {process.returncode} after {len(times)} of {recipe.steps} steps: "
                        f"{said.strip()[-600:]}")
    return ShortRun.of(begin, times)


def _command(rival: Rival, recipe: Recipe, folder: Path, pictures: Path, turn: int) -> list[str]:
    tokenizer = folder / "tokenizer" / _TOKENIZER
    if not tokenizer.is_dir():
        shutil.copytree(_CLIP, tokenizer)
    options: dict[str, object] = {
        "pretrained_model_name_or_path": recipe.checkpoint, "train_data_dir": pictures, "output_dir": folder / "theirs",
        "output_name": f"theirs-{turn}", "network_module": "networks.lora", "network_dim": RANK, "network_alpha": ALPHA,
        "resolution": recipe.size, "min_bucket_reso": 64, "max_bucket_reso": 2 * recipe.size,
        "caption_extension": ".txt", "train_batch_size": 1, "max_train_steps": recipe.steps, "learning_rate": 1e-4,
        "optimizer_type": "AdamW", "mixed_precision": _MIXED[recipe.precision], "max_data_loader_n_workers": 0,
        "tokenizer_cache_dir": tokenizer.parent, "save_precision": "fp16", "seed": 42,
    }
    written = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [str(rival.python), "train_network.py", *written, "--enable_bucket", "--cache_latents", "--sdpa"]


def _watched(process: subprocess.Popen[bytes], steps: int) -> tuple[list[tuple[float, float]], str]:
    """Reads a program's output to its end.

    Returns:
        when each step was first shown, with the processor's seconds till then, and what was said at last.
    """
    import psutil

    shown = re.compile(rf"steps:.*?\b(\d+)/{steps} \[")
    program = psutil.Process(process.pid)
    times: dict[int, tuple[float, float]] = {}
    line, said = b"", ""
    assert process.stdout is not None
    while byte := process.stdout.read(1):
        if byte not in b"\r\n":
            line += byte
            # The count stands before the bracket; waiting for the end of the line would time the next step.
            if byte != b"[":
                continue
        text = line.decode("utf8", "replace")
        if found := shown.search(text):
            used = program.cpu_times()
            times.setdefault(int(found[1]), (time.monotonic(), used.user + used.system))
        if byte in b"\r\n":
            said, line = f"{said}\n{text}"[-4000:], b""
    process.wait()
    return [times[number] for number in sorted(times) if number > 0], said
