"""The rounds of ReLoRA as settings: what each of them trains with, and what its LoRA and private checkpoint are called.

Standard library only, so that the rules can look at it.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError
from lib_trainer.training.learning.rates import parse_rate
from lib_trainer.training.settings.declare import MAX_SEED

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig

_RATES = ("learning_rate", "unet_lr", "text_encoder_lr", "text_encoder2_lr")
_FOLDER = "rounds"
"""Inside the job's folder: the rounds' LoRAs and the private checkpoint."""


def rate_factors(text: str, rounds: int) -> list[float]:
    """Reads what the rates of each round are multiplied with.

    Args:
        text: one number, the ratio from round to round, or a number for every round.
        rounds: how many there are.

    Raises:
        UserError: it cannot be read, or there are not as many numbers as rounds.
    """
    written = [part.strip() for part in text.split(",")]
    try:
        numbers = [float(part) for part in written]
    except ValueError:
        numbers = [-1.0]
    if any(not 0.0 < number <= 1000.0 for number in numbers):
        raise UserError(f"round_rate = {text!r} is not a number above 0, or one for every round. Write 0.5 (half from "
                        "round to round), or 1, 0.5, 0.1.")
    if len(numbers) == 1:
        return [numbers[0] ** number for number in range(rounds)]
    if len(numbers) != rounds:
        raise UserError(f"round_rate = {text!r} has {len(numbers)} numbers, and there are {rounds} rounds. Write one "
                        "for every round, or a single one for the ratio from round to round.")
    return numbers


def key(number: int) -> str:
    """Returns the name of a round on the disk."""
    return f"round-{number:02d}"


def lora_name(name: str, number: int) -> str:
    """Returns the name of a round's LoRA."""
    return f"{name}-{key(number)}"


def private_folder(job: Path) -> Path:
    """Returns where the rounds' LoRAs and the private checkpoint lie."""
    return job / _FOLDER


def checkpoint_file(job: Path, name: str, number: int) -> Path:
    """Returns the private checkpoint with the rounds up to this one."""
    return private_folder(job) / f"{name}-after-{key(number)}.safetensors"


def settings(config: TrainConfig, number: int, job: Path, base: Path | None) -> TrainConfig:
    """Returns what a round is trained with: an ordinary run with fresh adapters and a seed of its own.

    The seed differs, since the same one would begin every round in the same subspace, draw the same noise, and so
    could not raise the rank of the sum; what is held out for measuring stays the same.

    Args:
        config: of the whole. number: of the round, from 1.
        job: folder of the whole. base: the private checkpoint, None = the one that the whole trains on.

    Raises:
        UserError: the factors of the rates cannot be read.
    """
    rates = _rates(config, rate_factors(config.round_rate, config.rounds)[number - 1])
    held_out = config.seed if config.validation_seed < 0 else config.validation_seed
    return replace(
        config, method="lora", name=lora_name(config.name, number), output_folder=str(private_folder(job)), resume="",
        seed=(config.seed + number - 1) % (MAX_SEED + 1), validation_seed=held_out, save_precision="float",
        base_model=str(base) if base else config.base_model,
        continue_from=config.continue_from if number == 1 else "", **rates)


def _rates(config: TrainConfig, factor: float) -> dict[str, Any]:
    """Returns the rates of a round, step lists included; a rate that is not set stays so."""
    found = {}
    for name in _RATES:
        if text := getattr(config, name):
            rate = parse_rate(text)
            found[name] = str(replace(rate, rates=tuple(one * factor for one in rate.rates)))
    return found


def factors_in_words(factors: Sequence[float]) -> str:
    """Returns factors as people write them."""
    return ", ".join(f"{factor:g}" for factor in factors)


def is_private(job: Path, path: Path) -> bool:
    """Whether a file is one of the job's own, which may be written again."""
    return path.parent == private_folder(job)
