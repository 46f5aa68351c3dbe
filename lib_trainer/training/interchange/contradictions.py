"""What sd-scripts' options say against each other: its own assertions, and what would end otherwise than meant.

All of them are looked for, so that a person mends a file once.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator

from lib_trainer.training.interchange.arguments import Arguments, shown

Rule = Callable[[Arguments], Iterator[str]]


def of(given: Arguments) -> list[str]:
    """Returns one sentence per contradiction."""
    return [sentence for rule in _RULES for sentence in rule(given)]


def _latents(given: Arguments) -> Iterator[str]:
    if given["cache_latents"] or given["cache_latents_to_disk"]:
        for name in ("color_aug", "random_crop"):
            if given[name]:
                yield f"cache_latents and {name}: a cached picture cannot change at every use; leave one of them out."


def _captions(given: Arguments) -> Iterator[str]:
    if not (given["cache_text_encoder_outputs"] or given["cache_text_encoder_outputs_to_disk"]):
        return
    if not given["network_train_unet_only"]:
        yield ("cache_text_encoder_outputs without network_train_unet_only: what is cached cannot learn; train the "
               "U-Net only, or do not cache.")
    for name in ("shuffle_caption", "caption_dropout_rate", "caption_tag_dropout_rate", "token_warmup_step",
                 "enable_wildcard"):
        if given[name]:
            yield (f"cache_text_encoder_outputs and {name} = {shown(given[name])}: a cached caption cannot change at "
                   "every use; leave one of them out.")


def _parts(given: Arguments) -> Iterator[str]:
    if given["network_train_unet_only"] and given["network_train_text_encoder_only"]:
        yield "network_train_unet_only and network_train_text_encoder_only: nothing would learn; leave one out."


def _schedule(given: Arguments) -> Iterator[str]:
    name, warmup = given["lr_scheduler"], given["lr_warmup_steps"]
    fixed = name in ("constant", "piecewise_constant") or str(name).startswith("adafactor")
    if warmup and (given["lr_scheduler_type"] or fixed) and not _schedule_free(given):
        yield (f"lr_scheduler = {given['lr_scheduler_type'] or name} with lr_warmup_steps = {warmup}: this schedule "
               "has no warm-up; use constant_with_warmup, or set 0.")
    if str(name).startswith("adafactor") and str(given["optimizer_type"]).lower() != "adafactor":
        yield f"lr_scheduler = {name}: it belongs to the optimiser Adafactor, not to {_optimizer(given)}."
    if given["lr_decay_steps"] and name != "warmup_stable_decay":
        yield (f"lr_decay_steps = {given['lr_decay_steps']} with lr_scheduler = {name}: only warmup_stable_decay has "
               "a decay of its own.")


def _schedule_free(given: Arguments) -> bool:
    return _optimizer(given).lower().endswith("schedulefree")


def _optimizer(given: Arguments) -> str:
    return str(given["optimizer_type"] or "AdamW")


def _old_names(given: Arguments) -> Iterator[str]:
    names = [name for name in ("optimizer_type", "use_8bit_adam", "use_lion_optimizer") if given[name]]
    if len(names) > 1:
        yield f"{' and '.join(names)}: each names another optimiser; leave one."


def _precision(given: Arguments) -> Iterator[str]:
    precision = given["mixed_precision"]
    for kind in ("fp16", "bf16"):
        if given[f"full_{kind}"] and precision != kind:
            yield f"full_{kind} with mixed_precision = {precision}: it needs mixed_precision = {kind}."
    for name in ("fp8_base", "fp8_base_unet"):
        if given[name] and precision == "no":
            yield f"{name} without mixed_precision: weights kept as fp8 are computed in fp16 or bf16; choose one."


def _noise(given: Arguments) -> Iterator[str]:
    if given["adaptive_noise_scale"] is not None and given["noise_offset"] is None:
        yield "adaptive_noise_scale without noise_offset: it is added to the offset; give both."
    if given["noise_offset_random_strength"] and not given["noise_offset"]:
        yield "noise_offset_random_strength without noise_offset: there is no strength to draw."
    if given["ip_noise_gamma_random_strength"] and not given["ip_noise_gamma"]:
        yield "ip_noise_gamma_random_strength without ip_noise_gamma: there is no strength to draw."
    least, most = given["min_timestep"] or 0, given["max_timestep"] or 1000
    if least >= most:
        yield f"min_timestep = {least} and max_timestep = {most}: no timestep lies between them."


def _prediction(given: Arguments) -> Iterator[str]:
    if given["v_parameterization"] and given["v_pred_like_loss"]:
        yield "v_pred_like_loss with v_parameterization: the loss is of v already; leave one of them out."
    if not given["v_parameterization"]:
        for name in ("scale_v_pred_loss_like_noise_pred", "zero_terminal_snr"):
            if given[name]:
                yield f"{name} without v_parameterization: it needs a model that predicts v; add v_parameterization."


def _family(given: Arguments) -> Iterator[str]:
    if given.sdxl and given["v2"]:
        yield "v2 with the SDXL trainer: a checkpoint is the one or the other; leave v2 out."
    if given["v2"] and given["clip_skip"] is not None:
        yield (f"v2 with clip_skip = {given['clip_skip']}: SD 2 always uses the last layer but one; leave clip_skip "
               "out.")
    if given.sdxl and (given["clip_skip"] or 1) > 2:
        yield f"clip_skip = {given['clip_skip']} with SDXL: its layers are fixed; leave it out."


def _network(given: Arguments) -> Iterator[str]:
    if given["dim_from_weights"] and not given["network_weights"]:
        yield "dim_from_weights without network_weights: name the file whose ranks are meant."
    files, strengths = given["base_weights"] or [], given["base_weights_multiplier"] or []
    if strengths and len(strengths) > len(files):
        yield (f"base_weights_multiplier has {len(strengths)} numbers for {len(files)} base_weights: give one for "
               "each.")
    conv, rank = given.network.get("conv_dim"), given["network_dim"]
    if given["network_module"] == "networks.dylora" and conv and conv != (rank or 4):
        yield f"network_args conv_dim = {conv} with network_dim = {rank or 4}: DyLoRA needs the same for both."
    unit = given.network.get("unit")
    if unit and (rank or 4) % unit:
        yield f"network_args unit = {unit} with network_dim = {rank or 4}: the rank must be a multiple of the unit."
    if given.network.get("conv_block_dims") and not given.network.get("block_dims"):
        yield "network_args conv_block_dims without block_dims: give both."


def _pictures(given: Arguments) -> Iterator[str]:
    sources = [name for name in ("train_data_dir", "reg_data_dir", "in_json") if given[name]]
    if given["dataset_config"] and sources:
        yield (f"dataset_config and {', '.join(sources)}: sd-scripts takes its pictures from the dataset file alone; "
               "leave one of the two out.")
    if given["in_json"] and given["reg_data_dir"]:
        yield "in_json and reg_data_dir: a metadata file has no regularisation pictures; use a dataset file."
    if given["enable_bucket"] and given["face_crop_aug_range"]:
        yield "enable_bucket and face_crop_aug_range: faces are cropped without buckets only; leave one of them out."
    least, most = given["min_bucket_reso"] or 0, given["max_bucket_reso"] or 0
    if given["enable_bucket"] and least > most > 0:
        yield f"min_bucket_reso = {least} and max_bucket_reso = {most}: no side lies between them."
    step = given["bucket_reso_steps"] or 64
    multiple = 32 if given.sdxl else 64
    if given["enable_bucket"] and given.sdxl is not None and step % multiple:
        yield f"bucket_reso_steps = {step}: it must be a multiple of {multiple} for this family."


def _weighted(given: Arguments) -> Iterator[str]:
    if given["weighted_captions"] and given["shuffle_caption"] and given["caption_separator"] == ",":
        yield ("weighted_captions and shuffle_caption: a weight around several tags, (a, b:1.2), is torn apart by the "
               "shuffling; leave one of them out.")


def _validation(given: Arguments) -> Iterator[str]:
    asked = [name for name in ("validate_every_n_steps", "validate_every_n_epochs", "max_validation_steps")
             if given[name]]
    if asked and not given["validation_split"] and not given["dataset_config"]:
        yield f"{asked[0]} without validation_split: there is nothing to validate on; give a split such as 0.1."


def _previews(given: Arguments) -> Iterator[str]:
    if (given["sample_every_n_steps"] or given["sample_every_n_epochs"] or given["sample_at_first"]) \
            and not (given["sample_prompts"] or given.prompts):
        yield "sample_every_n_... without sample_prompts: there is nothing to draw; name the file of prompts."


_RULES: tuple[Rule, ...] = (
    _pictures, _latents, _captions, _weighted, _parts, _network, _old_names, _schedule, _precision, _family,
    _prediction, _noise, _validation, _previews,
)
