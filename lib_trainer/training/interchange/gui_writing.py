"""Our settings as a settings file of kohya_ss: every name that its window has for what we know, so that nothing is left
as the window had it before.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.gui_names import KEYS, OWN, RENAMED, TYPES
from lib_trainer.training.interchange.network_args import LYCORIS, NETWORK_ARGS
from lib_trainer.training.interchange.option import Value

_NAMES = {theirs: name for name, theirs in reversed(RENAMED.items())}

_IN_WINDOW = frozenset({
    "adaptive_noise_scale", "bucket_no_upscale", "bucket_reso_steps", "cache_latents", "cache_latents_to_disk",
    "cache_text_encoder_outputs", "caption_dropout_every_n_epochs", "caption_dropout_rate", "caption_extension",
    "clip_skip", "color_aug", "dataset_config", "debiased_estimation_loss", "dim_from_weights", "enable_bucket",
    "flip_aug", "fp8_base", "full_bf16", "full_fp16", "gradient_accumulation_steps", "gradient_checkpointing",
    "huber_c", "huber_scale", "huber_schedule", "ip_noise_gamma", "ip_noise_gamma_random_strength", "keep_tokens",
    "learning_rate", "log_tracker_name", "log_with", "logging_dir", "loss_type", "lr_scheduler",
    "lr_scheduler_args", "lr_scheduler_num_cycles", "lr_scheduler_power", "lr_scheduler_type", "lr_warmup_steps",
    "masked_loss", "max_bucket_reso", "max_grad_norm", "max_timestep", "max_token_length", "max_train_epochs",
    "max_train_steps", "metadata_author", "metadata_description", "metadata_license", "metadata_tags",
    "metadata_title", "min_bucket_reso", "min_snr_gamma", "min_timestep", "mixed_precision",
    "multires_noise_discount", "multires_noise_iterations", "network_alpha", "network_dim", "network_dropout",
    "network_weights", "noise_offset", "noise_offset_random_strength", "optimizer_args", "optimizer_type",
    "output_dir", "output_name", "pretrained_model_name_or_path", "prior_loss_weight", "random_crop",
    "reg_data_dir", "resolution", "resume", "sample_every_n_epochs", "sample_every_n_steps", "sample_sampler",
    "save_every_n_epochs", "save_every_n_steps", "save_last_n_epochs", "save_last_n_epochs_state",
    "save_last_n_steps", "save_last_n_steps_state", "save_model_as", "save_precision", "save_state",
    "save_state_on_train_end", "scale_v_pred_loss_like_noise_pred", "scale_weight_norms", "seed", "shuffle_caption",
    "train_batch_size", "train_data_dir", "training_comment", "unet_lr", "v2", "v_parameterization",
    "v_pred_like_loss", "vae_batch_size", "weighted_captions",
})
"""Options of sd-scripts that the window has a control for; the others go to its "Additional parameters"."""

_HANDLED = frozenset({"network_module", "network_args", "network_train_unet_only", "network_train_text_encoder_only",
                      "text_encoder_lr", "xformers", "sdpa", "sample_prompts"})


def write(options: Mapping[str, Value], config: TrainConfig, sdxl: bool) -> tuple[dict[str, Any], list[str]]:
    """Returns the settings file as an object, and what it cannot say.

    Args:
        options: the settings in sd-scripts' words.
        config: the settings.
        sdxl: whether the base model is SDXL.
    """
    data: dict[str, Any] = {"sdxl": sdxl, "model_list": "custom"}
    for name in sorted(_IN_WINDOW):
        option = OPTIONS[name]
        value = options.get(name, option.default)
        data[_NAMES.get(name, name)] = _shown(value, option.kind)
    data |= _rates(options) | _noise(options)
    data |= {"xformers": next((name for name in ("xformers", "sdpa") if options.get(name)), "none"),
             "lr_warmup": 0, "epoch": config.epochs, "sample_prompts": config.preview_prompts,
             "max_train_steps": config.steps, "max_train_epochs": 0 if config.steps else config.epochs}
    warmup = options.get("lr_warmup_steps", 0)
    if isinstance(warmup, float):
        data |= {"lr_warmup": warmup * 100, "lr_warmup_steps": 0}
    network, lost = _network(options)
    data |= network
    rest = {name: value for name, value in options.items() if name not in _IN_WINDOW | _HANDLED}
    data["additional_parameters"] = _additional(rest, lost)
    if options.get("seed") == 0:
        lost.append("seed = 0: kohya_ss draws another seed for every run then.")
    return dict(sorted(data.items())), lost


def _shown(value: Value, kind: str) -> Value:
    """Returns a value as the window has it: 0 or nothing for what is not given, lists as one text."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if value is None:
        return {"flag": False, "text": "", "path": ""}.get(kind, 0)
    return value


def _rates(options: Mapping[str, Value]) -> dict[str, Any]:
    """The window switches a part off where its rate is 0, and has no rate that follows the main one."""
    main = options["learning_rate"]
    encoder = (options.get("text_encoder_lr") or [main])[0]
    return {
        "unet_lr": 0 if options.get("network_train_text_encoder_only") else options.get("unet_lr", main),
        "text_encoder_lr": 0 if options.get("network_train_unet_only") else encoder,
    }


def _noise(options: Mapping[str, Value]) -> dict[str, Any]:
    return {"noise_offset_type": "Multires" if options.get("multires_noise_iterations") else "Original"}


def _network(options: Mapping[str, Value]) -> tuple[dict[str, Any], list[str]]:
    """Returns the LoRA type with its arguments, and the arguments that this type does not hand over."""
    pairs = (str(item).partition("=") for item in options.get("network_args") or [])
    given = {name: text for name, _, text in pairs}
    algo = given.pop("algo", "")
    module = options["network_module"]
    kinds = [kind for kind, (name, of, _) in TYPES.items()
             if name == module and (module != LYCORIS or of in (algo, "locon" if algo == "lora" else algo))]
    if module == "networks.lora" and "conv_dim" in given:
        kinds = ["Kohya LoCon"]
    if not kinds:
        return {"LoRA_type": "Standard"}, [f"network_module = {module} {algo}: kohya_ss has no such LoRA type."]
    handed = TYPES[kinds[0]][2]
    data: dict[str, Any] = {"LoRA_type": kinds[0]}
    for name in {name for _, _, names in TYPES.values() for name in names}:
        key: str = KEYS.get(name, name)
        data[key] = _shown(NETWORK_ARGS[name].default, NETWORK_ARGS[name].kind)
    data |= {"factor": -1, "unit": 1, "LyCORIS_preset": "full", "conv_dim": 1, "conv_alpha": 1}
    data |= {KEYS.get(name, name): _typed(text) for name, text in given.items() if name in handed}
    lost = [f"network_args: {name} = {text}: kohya_ss does not hand it over for '{kinds[0]}'."
            for name, text in given.items() if name not in handed]
    return data, lost


def _typed(text: str) -> Value:
    if text in ("True", "False"):
        return text == "True"
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number == int(number) else number


def _additional(rest: Mapping[str, Value], lost: list[str]) -> str:
    """Returns further options as a command; the window takes quotation marks out, so values have no spaces."""
    words = []
    for name, value in rest.items():
        texts = [] if value is True else [str(one) for one in (value if isinstance(value, list) else [value])]
        if value is False or name in OWN:
            continue
        if any(" " in text or '"' in text or not text for text in texts):
            lost.append(f"{name} = {value!r}: kohya_ss takes no spaces in its additional parameters.")
        else:
            words += [f"--{name}", *texts]
    return " ".join(words)
