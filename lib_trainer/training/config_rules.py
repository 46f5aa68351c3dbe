"""Which settings are at fault together, or need more than a range to be judged: names, resolutions, rates, blocks.

Every rule looks at the config alone; the disk and the model are looked at in `check.py`. A rule is skipped when a field
it needs could not be read: one fault, one sentence.
"""
from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.host import TRAINING_NAME

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig

_FORBIDDEN = '<>:"/\\|?*'
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_LONGEST_NAME = 200
"""Bytes of a name in UTF-8: file systems allow 255, and `-step00000100.safetensors` is added."""

Rule = Callable[["TrainConfig"], Iterator[str]]


def faults(config: TrainConfig, bad: frozenset[str] = frozenset()) -> list[str]:
    """Returns one sentence per fault that can be seen in the config alone.

    Args:
        config: the settings.
        bad: fields whose value could not be read and stands at its default: rules that need them are skipped.
    """
    return [sentence for rule, needs in _RULES if not bad.intersection(needs) for sentence in rule(config)]


def parse_resolution(text: str) -> tuple[int, int] | None:
    """Returns width and height in pixels of "512" or "512,768" ("512x768"), None of an empty text.

    Raises:
        UserError: not such a text, not multiples of 8, too small or too big.
    """
    if not text.strip():
        return None
    parts = text.replace("x", ",").split(",")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise UserError(f"resolution = {text!r}: Resolution must be one number such as 512 or width,height such as 512,768.")
    width, height = sides[0], sides[-1]
    for side in (width, height):
        if side % 8 or not 64 <= side <= 8192:
            near = min(max(64, round(side / 8) * 8), 8192)
            raise UserError(
                f"resolution = {text!r}: Resolution must be multiples of 8 from 64 to 8192; use {near} instead of {side}."
            )
    return width, height


def _name(config: TrainConfig) -> Iterator[str]:
    name, where = config.name, f"name = {config.name!r}: Name"
    wrong = sorted({sign for sign in name if sign in _FORBIDDEN})
    if wrong:
        yield f"{where} becomes a file name and must not contain {' '.join(wrong)}; use letters, digits, - and _."
    if name.endswith("."):
        yield f"{where} must not end with a dot (Windows drops it); take the dot off."
    if name.split(".")[0].strip().lower() in _RESERVED:
        yield f"{where} is reserved by Windows; choose another one."
    if name.lower().endswith(".safetensors"):
        yield f"{where} is written without its ending; take .safetensors off."
    if name == TRAINING_NAME:
        yield f"{where} stands for the LoRA in training; choose another one."
    if len(name.encode("utf8")) > _LONGEST_NAME:
        yield f"{where} is too long for a file name; use at most {_LONGEST_NAME} letters."


def _resolution(config: TrainConfig) -> Iterator[str]:
    try:
        size = parse_resolution(config.resolution)
    except UserError as error:
        yield str(error)
        return
    if not config.buckets:
        return
    least, greatest = config.bucket_min, config.bucket_max
    if least and greatest and least > greatest:
        yield f"bucket_min = {least} is greater than bucket_max = {greatest}: swap them, or set both to 0."
    elif size and least and least > min(size):
        yield f"bucket_min = {least} is greater than the resolution {config.resolution}: lower it, or set it to 0."
    elif size and greatest and greatest < max(size):
        yield f"bucket_max = {greatest} is less than the resolution {config.resolution}: raise it, or set it to 0."


def _caption_extension(config: TrainConfig) -> Iterator[str]:
    text = config.caption_extension
    if len(text) < 2 or not text.startswith(".") or any(sign in text for sign in _FORBIDDEN):
        yield f"caption_extension = {text!r}: Caption files must be an ending with its dot, such as .txt."


def _parts(config: TrainConfig) -> Iterator[str]:
    if not config.train_unet and not config.train_text_encoder:
        yield "Train U-Net and Train text encoder are both off, so nothing would learn: switch one of them on."


def _length(config: TrainConfig) -> Iterator[str]:
    if not config.steps and not config.epochs:
        yield "epochs = 0 and steps = 0, so the run would have no length: set one of them."


def _timesteps(config: TrainConfig) -> Iterator[str]:
    if config.min_timestep >= config.max_timestep:
        yield (f"min_timestep = {config.min_timestep} must be less than max_timestep = {config.max_timestep}: "
               "0 and 1000 train on all noise levels.")


def _blocks(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.blocks.selection import parse_blocks

    try:
        parse_blocks(config.blocks)
    except UserError as error:
        yield f"blocks = {config.blocks!r}: {error}"


def _rates(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training.schedules import parse_rate

    for name in ("learning_rate", "unet_lr", "text_encoder_lr"):
        text = getattr(config, name)
        if not text and name != "learning_rate":
            continue
        try:
            parse_rate(text)
        except UserError as error:
            yield f"{name} = {text!r}: {error}"


def _warmup(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training.schedules import parse_warmup

    try:
        parse_warmup(config.warmup, 1000)
    except UserError as error:
        yield f"warmup = {config.warmup!r}: {error}"


def _optimizer(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training.optimizers import OPTIMIZERS, parse_args

    if config.optimizer not in OPTIMIZERS:
        near = difflib.get_close_matches(config.optimizer, OPTIMIZERS, 1)
        remedy = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(OPTIMIZERS)}."
        yield f"optimizer = {config.optimizer!r}: there is no such optimiser; {remedy}"
    try:
        parse_args(config.optimizer_args)
    except UserError as error:
        yield f"optimizer_args = {config.optimizer_args!r}: {error}"


def _preview_size(config: TrainConfig) -> Iterator[str]:
    for name in ("preview_width", "preview_height"):
        side = getattr(config, name)
        if side and (side % 8 or side < 64):
            yield f"{name} = {side}: previews must be multiples of 8, 64 or more; use {max(64, round(side / 8) * 8)}, or 0."


_RULES: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (_name, ("name",)),
    (_resolution, ("resolution", "buckets", "bucket_min", "bucket_max")),
    (_caption_extension, ("caption_extension",)),
    (_parts, ("train_unet", "train_text_encoder")),
    (_blocks, ("blocks",)),
    (_optimizer, ("optimizer", "optimizer_args")),
    (_rates, ("learning_rate", "unet_lr", "text_encoder_lr")),
    (_warmup, ("warmup",)),
    (_length, ("epochs", "steps")),
    (_timesteps, ("min_timestep", "max_timestep")),
    (_preview_size, ("preview_width", "preview_height")),
)
