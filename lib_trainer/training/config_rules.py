"""Which settings are at fault together, or need more than a range to be judged: names, resolutions, rates, blocks.

Every rule looks at the config alone; the disk and the model are looked at in `check.py`. A rule is skipped when a field
it needs could not be read: one fault, one sentence.
"""
from __future__ import annotations

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

_ANY_LENGTH = 10**9
"""Steps that no warm-up exceeds, where the length of the run is not known yet."""

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
        raise UserError(f"resolution = {text!r}: Resolution must be one number (512) or width,height (512,768).")
    width, height = sides[0], sides[-1]
    for side in (width, height):
        if side % 8 or not 64 <= side <= 8192:
            near = min(max(64, round(side / 8) * 8), 8192)
            raise UserError(f"resolution = {text!r}: {side} is not a multiple of 8 from 64 to 8192; use {near}.")
    return width, height


def _name(config: TrainConfig) -> Iterator[str]:
    yield from name_faults(config.name, f"name = {config.name!r}: Name")


def name_faults(name: str, where: str) -> Iterator[str]:
    """Yields why a text cannot be the name of a LoRA file.

    Args:
        name: without its ending.
        where: what the sentences begin with.
    """
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
        parse_resolution(config.resolution)
    except UserError as error:
        yield str(error)


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
    from lib_trainer.training import schedules

    rates = []
    for name in ("learning_rate", "unet_lr", "text_encoder_lr"):
        if not getattr(config, name) and name != "learning_rate":
            continue
        try:
            rates.append(schedules.parse_rate(getattr(config, name)))
        except UserError as error:
            yield f"{name}: {error}"
    try:
        warmup = schedules.parse_warmup(config.warmup, config.steps or _ANY_LENGTH)
    except UserError as error:
        yield f"warmup: {error}"
        warmup = 0
    yield from dict.fromkeys(filter(None, (schedules.problem(rate, config.scheduler, warmup) for rate in rates)))
    if rates and not any(any(rate.rates) for rate in rates):
        yield f"learning_rate = {config.learning_rate!r}: with a rate of 0 nothing would learn; 1e-4 is usual."


def _optimizer(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training import optimizers

    for field, read, text in (("optimizer", optimizers.find, config.optimizer),
                              ("optimizer_args", optimizers.parse_args, config.optimizer_args)):
        try:
            read(text)
        except UserError as error:
            yield f"{field}: {error}"


def _preview_size(config: TrainConfig) -> Iterator[str]:
    for name in ("preview_width", "preview_height"):
        side = getattr(config, name)
        if side and (side % 8 or side < 64):
            near = max(64, round(side / 8) * 8)
            yield f"{name} = {side}: sides of previews are multiples of 8, 64 or more; use {near}, or 0."


_RULES: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (_name, ("name",)),
    (_resolution, ("resolution",)),
    (_caption_extension, ("caption_extension",)),
    (_parts, ("train_unet", "train_text_encoder")),
    (_blocks, ("blocks",)),
    (_optimizer, ("optimizer", "optimizer_args")),
    (_rates, ("learning_rate", "unet_lr", "text_encoder_lr", "scheduler", "warmup", "steps")),
    (_length, ("epochs", "steps")),
    (_timesteps, ("min_timestep", "max_timestep")),
    (_preview_size, ("preview_width", "preview_height")),
)
