"""What is told about a run: the metadata of its file, the tag to write, the trigger words."""
from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lib_trainer.data.captions.caption_rules import tags
from lib_trainer.data.item import Item
from lib_trainer.lora import metadata, thumbnail
from lib_trainer.lora.card import Card
from lib_trainer.lora.description import describe as describe_network
from lib_trainer.training import network_settings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange import network_writing, writing
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.option import Value
from lib_trainer.training.loss import noise_schedule
from lib_trainer.training.outputs.data_record import data, shown_caption
from lib_trainer.training.rules.data import parse_face_crop
from lib_trainer.training.run import Run
from lib_trainer.training.settings.method import NEEDS

NOISE_LEVELS = 1000
"""Timesteps of all families."""

_COMMON = 0.6
"""A first tag is the trigger when at least this part of the training pictures begins with it."""


def prompt_tag(name: str) -> str:
    """Returns what to write in a prompt to use the LoRA."""
    return f"<lora:{name}:1>"


def trigger_words(config: TrainConfig, items: Sequence[Item]) -> str:
    """Returns the words that call what was learned, as a prompt wants them: parentheses escaped.

    That is the tag with which most captions begin; where they have none in common, the caption of pictures without
    a file. What was learned from prompts, or as the difference of pictures, is there without a word.
    """
    training = [item for item in items if not item.is_reg]
    if NEEDS[config.method] == "pairs" or not all(item.is_picture for item in training):
        return ""
    firsts = Counter(found[0] for item in training if (found := tags(shown_caption(item))))
    word, count = firsts.most_common(1)[0] if firsts else ("", 0)
    chosen = word if count >= _COMMON * len(training) and word else config.trigger
    return re.sub(r"(?<!\\)([()])", r"\\\1", chosen)


def card(run: Run) -> Card:
    """Returns what a WebUI shows on the card of the finished LoRA."""
    config, network = run.config, _network(run)
    reg = f" and {run.plan.reg_images} regularisation pictures" if run.plan.reg_images else ""
    learned_from = f"the prompts {'; '.join(run.prompts)}" if run.prompts else f"{run.plan.images} pictures{reg}"
    settings = [
        f"rank {network['network_dim']}, alpha {network['network_alpha']:g}",
        f"conv rank {config.conv_rank}, alpha {config.conv_alpha:g}" if config.conv_rank else "",
        f"{config.optimizer}, learning rate {config.learning_rate}", f"blocks {config.blocks}" if config.blocks else "",
        f"seed {config.seed}",
    ]
    return Card(
        family=run.checkpoint.family, activation=trigger_words(config, run.items),
        description=f"Trained on {run.checkpoint.name} with {learned_from}, {run.step} steps.",
        notes="\n".join(filter(None, [config.comment, "; ".join(filter(None, settings)) + "."])),
    )


def describe(run: Run) -> dict[str, str]:
    """Returns the `ss_*` and `modelspec.*` metadata of the file as the run is now."""
    return metadata.build(metadata.RunInfo(
        **_settings(run), **_network(run), **data(run), **_times(run), modelspec=_modelspec(run),
        minimal=run.config.file_metadata == "minimal",
    ))


def _modelspec(run: Run) -> dict[str, str]:
    """What the person says about the file; its trigger is found where none is written."""
    config = run.config
    told = {name: getattr(config, name) for name in ("author", "description", "license", "tags", "usage_hint",
                                                  "trigger_phrase")}
    if config.title:
        told["title"] = config.title
    if config.min_timestep > 0 or config.max_timestep < NOISE_LEVELS:
        told["timestep_range"] = f"{config.min_timestep},{config.max_timestep}"
    if not (config.trigger_phrase or config.file_metadata == "minimal"):
        told["trigger_phrase"] = trigger_words(config, run.items)
    if config.thumbnail:
        told["thumbnail"] = thumbnail.data_url(config.thumbnail)
    return told


_OPTIONS = (
    "network_dropout", "scale_weight_norms", "full_fp16", "fp8_base", "fp8_base_unet", "color_aug", "random_crop",
    "resize_interpolation",
    "caption_dropout_every_n_epochs", "noise_offset_random_strength", "adaptive_noise_scale",
    "multires_noise_iterations", "multires_noise_discount", "ip_noise_gamma", "ip_noise_gamma_random_strength",
    "loss_type", "huber_schedule", "huber_scale", "huber_c", "validation_seed", "validation_split",
    "validate_every_n_epochs", "validate_every_n_steps", "max_validation_steps",
)
"""sd-scripts' options that it records under their own names."""


def _settings(run: Run) -> dict[str, Any]:
    """The settings as sd-scripts would have them; what it cannot say is recorded as it was written here."""
    config, checkpoint = run.config, run.checkpoint
    written = writing.options(config, checkpoint.family.name == "sdxl").values

    def said(name: str) -> Value:
        return written.get(name, OPTIONS[name].default)

    same = ("seed", "max_grad_norm", "gradient_checkpointing", "cache_latents", "bucket_no_upscale", "shuffle_caption",
            "keep_tokens", "prior_loss_weight")
    theirs = ("flip_aug", "caption_dropout_rate", "caption_tag_dropout_rate", "min_snr_gamma", "noise_offset",
              "lr_warmup_steps", "max_token_length")
    return {name: getattr(config, name) for name in same} | {name: said(name) for name in theirs} | {
        "family": checkpoint.family, "output_name": config.name,
        "prediction": noise_schedule.prediction_of(config, checkpoint),
        "zero_terminal_snr": noise_schedule.ends_in_pure_noise(config, checkpoint),
        "sd_model_name": checkpoint.name, "resolution": run.resolution,
        "training_comment": "; ".join(filter(None, [config.comment, *run.record.changes])) or None,
        "clip_skip": config.clip_skip if config.clip_skip > 1 and checkpoint.family.has_clip_skip else None,
        "optimizer": run.optimizer, "mixed_precision": run.precision,
        "learning_rate": _rate(config.learning_rate), "unet_lr": _rate(config.unet_lr),
        "text_encoder_lr": _encoder_rates(config), "lr_scheduler": config.scheduler,
        "gradient_accumulation_steps": config.gradient_accumulation, "batch_size_per_device": config.batch_size,
        "enable_bucket": config.buckets and not run.prompts, "min_bucket_reso": config.bucket_min or None,
        "max_bucket_reso": config.bucket_max or None,
        "settings": _method(run) | {name: said(name) for name in _OPTIONS} | {
            "debiased_estimation": config.debiased_estimation,
            "face_crop_aug_range": parse_face_crop(config.face_crop)},
    }


def _method(run: Run) -> dict[str, Any]:
    """By which method it was trained, where that is not the usual one, and with which prompts."""
    if run.config.method == "lora":
        return {}
    return {"training_method": run.config.method} | ({"training_prompts": run.prompts} if run.prompts else {})


def _encoder_rates(config: TrainConfig) -> float | str | None:
    """SDXL's two rates as sd-scripts writes a list."""
    first, second = _rate(config.text_encoder_lr), _rate(config.text_encoder2_lr)
    return str([first, second]) if second is not None else first


def _network(run: Run) -> dict[str, Any]:
    """Module, rank, alpha and arguments; a continued LoRA keeps those of its file."""
    spec = network_settings.spec(run.config, run.checkpoint.family.arch, run.host.presets())
    found = describe_network(run.network, spec, continued=bool(run.config.continue_from))
    return {"network_module": found.module, "network_dim": found.rank, "network_alpha": found.alpha,
            "network_args": found.arguments | _by_block(run.config)}


def _by_block(config: TrainConfig) -> dict[str, str]:
    """Returns the numbers by block and LoRA+'s ratios as arguments of the network, as they were written."""
    names = {name: name for name in ("block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas")}
    names |= {"lora_plus": "loraplus_lr_ratio", "lora_plus_unet": "loraplus_unet_lr_ratio",
              "lora_plus_text_encoder": "loraplus_text_encoder_lr_ratio"}
    found = {argument: str(value) for name, argument in names.items() if (value := getattr(config, name))}
    return found | network_writing.block_rates(config.block_lrs)


def _times(run: Run) -> dict[str, Any]:
    hashes = run.base_hash.result()
    return {
        "steps": run.step, "epoch": run.epoch, "max_train_steps": run.length.total, "num_epochs": run.length.epochs,
        "session_id": run.session, "training_started_at": run.started_at, "training_finished_at": time.time(),
        "sd_model_hash": hashes.legacy or None, "new_sd_model_hash": hashes.full or None,
    }


def _rate(text: str) -> float | str | None:
    """Returns a rate as a number, a step list as it was written, nothing of nothing."""
    try:
        return float(text)
    except ValueError:
        return text or None
