"""What is told about a run: the metadata of its file, the tag to write, the trigger words."""
from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lib_trainer.data.captions import tags
from lib_trainer.data.scan import Item
from lib_trainer.lora import metadata, thumbnail
from lib_trainer.lora.card import Card
from lib_trainer.lora.description import describe as describe_network
from lib_trainer.training import network_settings, noise_schedule
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.run import Run

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
    a file.
    """
    training = [item for item in items if not item.is_reg]
    firsts = Counter(found[0] for item in training if (found := tags(item.caption)))
    word, count = firsts.most_common(1)[0] if firsts else ("", 0)
    chosen = word if count >= _COMMON * len(training) and word else config.trigger
    return re.sub(r"(?<!\\)([()])", r"\\\1", chosen)


def card(run: Run) -> Card:
    """Returns what a WebUI shows on the card of the finished LoRA."""
    config, network = run.config, _network(run)
    reg = f" and {run.plan.reg_images} regularisation pictures" if run.plan.reg_images else ""
    settings = [
        f"rank {network['network_dim']}, alpha {network['network_alpha']:g}",
        f"conv rank {config.conv_rank}, alpha {config.conv_alpha:g}" if config.conv_rank else "",
        f"{config.optimizer}, learning rate {config.learning_rate}", f"blocks {config.blocks}" if config.blocks else "",
        f"seed {config.seed}",
    ]
    return Card(
        family=run.checkpoint.family, activation=trigger_words(config, run.items),
        description=f"Trained on {run.checkpoint.name} with {run.plan.images} pictures{reg}, {run.step} steps.",
        notes="\n".join(filter(None, [config.comment, "; ".join(filter(None, settings)) + "."])),
    )


def describe(run: Run) -> dict[str, str]:
    """Returns the `ss_*` and `modelspec.*` metadata of the file as the run is now."""
    return metadata.build(metadata.RunInfo(
        **_settings(run), **_network(run), **_data(run), **_times(run), modelspec=_modelspec(run),
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


def _settings(run: Run) -> dict[str, Any]:
    config, checkpoint = run.config, run.checkpoint
    same_names = (
        "seed", "max_grad_norm", "gradient_checkpointing", "cache_latents", "bucket_no_upscale", "shuffle_caption",
        "keep_tokens", "prior_loss_weight",
    )
    return {name: getattr(config, name) for name in same_names} | {
        "family": checkpoint.family, "output_name": config.name,
        "prediction": noise_schedule.prediction_of(config, checkpoint),
        "zero_terminal_snr": noise_schedule.ends_in_pure_noise(config, checkpoint),
        "sd_model_name": checkpoint.name, "resolution": run.resolution,
        "training_comment": "; ".join(filter(None, [config.comment, *run.record.changes])) or None,
        "clip_skip": config.clip_skip if config.clip_skip > 1 and checkpoint.family.has_clip_skip else None,
        "max_token_length": int(config.max_tokens) if config.max_tokens != "75" else None,
        "optimizer": run.optimizer, "mixed_precision": run.precision,
        "learning_rate": _rate(config.learning_rate), "unet_lr": _rate(config.unet_lr),
        "text_encoder_lr": _rate(config.text_encoder_lr), "lr_scheduler": config.scheduler,
        "gradient_accumulation_steps": config.gradient_accumulation, "batch_size_per_device": config.batch_size,
        "enable_bucket": config.buckets, "min_bucket_reso": config.bucket_min or None,
        "max_bucket_reso": config.bucket_max or None, "flip_aug": config.flip,
        "caption_dropout_rate": config.caption_dropout, "caption_tag_dropout_rate": config.tag_dropout,
        "min_snr_gamma": config.min_snr_gamma or None, "noise_offset": config.noise_offset or None,
    }


def _network(run: Run) -> dict[str, Any]:
    """Module, rank, alpha and arguments; a continued LoRA keeps those of its file."""
    spec = network_settings.spec(run.config, run.checkpoint.family.arch, run.host.presets())
    found = describe_network(run.network, spec, continued=bool(run.config.continue_from))
    return {"network_module": found.module, "network_dim": found.rank, "network_alpha": found.alpha,
            "network_args": found.arguments | _by_block(run.config),
            "network_dropout": run.config.network_dropout or None,
            "scale_weight_norms": run.config.scale_weight_norms or None}


def _by_block(config: TrainConfig) -> dict[str, str]:
    """Returns the numbers by block and LoRA+'s ratios as arguments of the network, as they were written."""
    names = {name: name for name in ("block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas", "block_lrs")}
    names |= {"lora_plus": "loraplus_lr_ratio", "lora_plus_unet": "loraplus_unet_lr_ratio",
              "lora_plus_text_encoder": "loraplus_text_encoder_lr_ratio"}
    return {argument: str(value) for name, argument in names.items() if (value := getattr(config, name))}


def _data(run: Run) -> dict[str, Any]:
    plan = run.plan
    training = [item for item in run.items if not item.is_reg]
    reg = [item for item in run.items if item.is_reg]
    uses = sum(item.repeats for item in training)
    return {
        "num_train_images": uses, "num_reg_images": plan.samples_per_epoch - uses,
        "num_batches_per_epoch": plan.batches_per_epoch,
        "dataset_dirs": _folders(training), "reg_dataset_dirs": _folders(reg),
        "tag_frequency": _tag_frequency(run.items),
        "bucket_info": {
            "buckets": {str(index): {"resolution": list(bucket), "count": count}
                        for index, (bucket, count) in enumerate(plan.bucket_counts.items())},
            "mean_img_ar_error": plan.mean_ar_error,
        },
    }


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


def _folders(items: Iterable[Item]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for item in items:
        found.setdefault(item.folder, {"n_repeats": item.repeats, "img_count": 0})["img_count"] += 1
    return found


def _tag_frequency(items: Iterable[Item]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for item in items:
        found.setdefault(item.folder, Counter()).update(tags(item.caption))
    return {folder: dict(counts) for folder, counts in found.items()}
