"""Our settings as sd-scripts' options, so that people can go back; what cannot be said there is named."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange import network_writing
from lib_trainer.training.interchange.arguments import shown
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.meaning import SAMPLE_CFG, SAMPLE_STEPS
from lib_trainer.training.interchange.network_args import NETWORK_ARGS
from lib_trainer.training.interchange.option import Value
from lib_trainer.training.interchange.rate_meaning import steps_of
from lib_trainer.training.interchange.samplers import THEIRS as SAMPLERS

_CHOICES = {
    "resize_interpolation": ("lanczos", "nearest", "bilinear", "bicubic"),
    "save_precision": ("float", "fp16", "bf16"), "loss_type": ("l1", "l2", "huber", "smooth_l1"),
}
"""Words that sd-scripts knows, where we know more."""

_WRITTEN_APART = frozenset({"attention"})
"""Settings that are written, and of which sd-scripts' options mean nothing here."""


@dataclass
class Written:
    """Settings in sd-scripts' words.

    Attributes:
        values: by option; what is not named is sd-scripts' default.
        lost: one sentence per setting that cannot be said there.
    """

    values: dict[str, Value] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def options(config: TrainConfig, sdxl: bool = False) -> Written:
    """Returns a config in sd-scripts' options.

    Args:
        config: the settings.
        sdxl: whether the base model is SDXL, whose trainer has options of its own.
    """
    result = Written()
    ours = config.to_dict()
    for option in OPTIONS.values():
        if option.alone:
            value = option.theirs(ours[option.fields[0]])
            if value is not None and value != option.default and _known(option.name, value, result):
                result.values[option.name] = value
    for write in _JOINED:
        result.values.update(write(config, result, sdxl))
    network_writing.write(config, result.values, result.lost)
    _tell_lost(config, result)
    return result


def _known(name: str, value: Value, result: Written) -> bool:
    known = _CHOICES.get(name)
    if known and value not in known:
        result.lost.append(f"{name} = {shown(value)}: sd-scripts knows {', '.join(known)}.")
        return False
    return True


def _sizes(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    """sd-scripts has no automatic sizes: they are written as numbers where the resolution is known."""
    values: dict[str, Value] = {}
    sides = [int(side) for side in config.resolution.replace("x", ",").split(",") if side.strip().isdigit()]
    if sides:
        values["resolution"] = ",".join(map(str, (sides * 2)[:2]))
    else:
        result.lost.append("resolution is empty (the checkpoint's own size): sd-scripts needs a number.")
    side, longest = (min(sides), max(sides)) if sides else (512, 512)
    on = config.buckets  # without buckets only what was written itself is kept
    values["min_bucket_reso"] = config.bucket_min or (max(64, side // 2 // 64 * 64) if on else 256)
    values["max_bucket_reso"] = config.bucket_max or (2 * longest if on else 1024)
    values["bucket_reso_steps"] = config.bucket_step or (32 if sdxl and on else 64)
    if config.metadata_file:
        values["dataset_repeats"] = config.repeats
    return {name: value for name, value in values.items() if value != OPTIONS[name].default}


def _captions(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    return {
        "caption_extension": config.caption_extension,
        **({"max_token_length": int(config.max_tokens)} if config.max_tokens != "75" else {}),
    }


def _rates(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    values: dict[str, Value] = {"learning_rate": _rate("learning_rate", config, result)}
    if config.unet_lr:
        values["unet_lr"] = _rate("unet_lr", config, result)
    if config.text_encoder_lr or config.text_encoder2_lr:
        first = _rate("text_encoder_lr" if config.text_encoder_lr else "learning_rate", config, result)
        values["text_encoder_lr"] = [first]
        if config.text_encoder2_lr:
            values["text_encoder_lr"].append(_rate("text_encoder2_lr", config, result))
    return values


def _rate(name: str, config: TrainConfig, result: Written) -> float:
    """Returns a rate as a number; of a list of rates the first one."""
    text = str(getattr(config, name))
    first = text.split(",")[0].partition(":")[0]
    if first != text:
        result.lost.append(f"{name} = {text!r}: sd-scripts has no list of rates; the first one is written.")
    return float(first)


def _learning(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    dotted = "." in config.scheduler or config.scheduler[:1].isupper()
    values: dict[str, Value] = {
        "optimizer_type": config.optimizer, "optimizer_args": config.optimizer_args.split(),
        "lr_scheduler_type" if dotted else "lr_scheduler": config.scheduler,
        "lr_scheduler_args": config.scheduler_args.split(), "lr_warmup_steps": steps_of(config.warmup),
        "lr_decay_steps": steps_of(config.decay), "seed": config.seed,
    }
    values |= {"max_train_steps": config.steps} if config.steps else {"max_train_epochs": config.epochs}
    return {name: value for name, value in values.items() if value not in ([], OPTIONS[name].default)}


def _prediction(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    if config.prediction == "auto":
        result.lost.append("prediction = 'auto': sd-scripts does not look; add v_parameterization for a checkpoint "
                           "that predicts v (and zero_terminal_snr where it has that).")
    return {name: True for name, on in (
        ("v_parameterization", config.prediction == "v"), ("zero_terminal_snr", config.zero_terminal_snr == "on")
    ) if on}


def _memory(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    values: dict[str, Value] = {}
    if config.adapter_precision in ("fp16", "bf16"):
        values[f"full_{config.adapter_precision}"] = True
    if config.base_precision in ("fp8", "fp8_unet"):
        values["fp8_base" if config.base_precision == "fp8" else "fp8_base_unet"] = True
    if config.attention in ("xformers", "sdpa"):
        values[config.attention] = True
    if config.precision == "auto":
        result.values.pop("mixed_precision", None)
        result.lost.append("precision = 'auto': sd-scripts does not ask the host; choose mixed_precision there.")
    if sdxl and config.cache_captions and not config.train_text_encoder and not _captions_vary(config):
        values["cache_text_encoder_outputs"] = True
        if config.cache_captions_to_disk:
            values["cache_text_encoder_outputs_to_disk"] = True
    if config.cache_latents and (config.color_aug or config.random_crop):
        result.values.pop("cache_latents", None)
        result.values.pop("cache_latents_to_disk", None)
        result.lost.append("cache_latents with color_aug or random_crop: sd-scripts caches no picture that varies; it "
                           "is left out.")
    return values


def _captions_vary(config: TrainConfig) -> bool:
    return bool(config.shuffle_caption or config.caption_dropout or config.tag_dropout or config.wildcards
                or config.token_warmup_step)


def _states(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    """sd-scripts writes states with the files, so another rhythm cannot be said."""
    with_files = (config.state_every_steps, config.state_every_epochs)
    if any(with_files):
        if with_files != (config.save_every_steps, config.save_every_epochs):
            result.lost.append(f"state_every_steps = {with_files[0]}, state_every_epochs = {with_files[1]}: sd-scripts "
                               "writes states with the files (save_every_n_...).")
        keep = {"save_last_n_epochs_state": config.keep_states} if config.keep_states else {}
        return {"save_state": True, **keep}
    return {"save_state_on_train_end": True} if config.state_at_end else {}


def _files(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    values: dict[str, Value] = {"no_metadata": True} if config.file_metadata == "minimal" else {}
    if config.log_with and config.log_folder:
        values |= {"logging_dir": config.log_folder, "log_with": config.log_with}
    elif config.log_with:
        result.lost.append("log_with without log_folder: sd-scripts logs where logging_dir is named.")
    return values


def _previews(config: TrainConfig, result: Written, sdxl: bool) -> dict[str, Value]:
    if not config.preview_file:
        return {}
    usual = (config.preview_steps, config.preview_cfg) == (SAMPLE_STEPS, SAMPLE_CFG)
    if not usual:
        result.lost.append("Steps and guidance of previews: sd-scripts reads them from the prompt file (--s and --l).")
    sampler = SAMPLERS.get(config.preview_sampler, "")
    if config.preview_sampler and not sampler:
        result.lost.append(f"preview_sampler = {config.preview_sampler!r}: sd-scripts has no such sampler.")
    given = {"sample_sampler": sampler} if sampler not in ("", "ddim") else {}
    return {"sample_prompts": config.preview_file, **given}


_JOINED: tuple[Callable[[TrainConfig, Written, bool], Mapping[str, Any]], ...] = (
    _sizes, _captions, _rates, _learning, _prediction, _memory, _states, _files, _previews,
)


def _tell_lost(config: TrainConfig, result: Written) -> None:
    """Names settings that only we have and that are not as in an untouched form."""
    known = {name for option in (*OPTIONS.values(), *NETWORK_ARGS.values()) for name in option.fields}
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if entry.name not in known | _WRITTEN_APART and value != entry.default:
            label = entry.metadata["label"]
            result.lost.append(f"{entry.name} = {shown(value)}: sd-scripts has nothing like '{label}'.")
