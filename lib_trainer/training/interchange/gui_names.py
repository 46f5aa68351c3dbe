"""kohya_ss' settings file: its own names and what it takes where a file of an older version leaves one out."""
from __future__ import annotations

from typing import Any

from lib_trainer.training.interchange.network_args import LYCORIS

RENAMED = {
    "max_resolution": "resolution", "optimizer": "optimizer_type", "sdxl_no_half_vae": "no_half_vae",
    "sdxl_cache_text_encoder_outputs": "cache_text_encoder_outputs", "lora_network_weights": "network_weights",
}
"""Its names for sd-scripts' options where they differ; the first one of an option is the one written."""

OWN = frozenset({
    "LoRA_type", "LyCORIS_preset", "additional_parameters", "constrain", "epoch", "lr_warmup", "model_list",
    "noise_offset_type", "sdxl", "stop_text_encoder_training", "stop_text_encoder_training_pct", "use_wandb",
    "xformers", "sample_prompts", "no_token_padding", "unit", "dora_wd", "conv_dim", "conv_alpha", "t5xxl_lr",
})
"""Names that are read one by one."""

ABSENT: dict[str, Any] = {
    "max_resolution": "512,512", "caption_extension": ".txt", "enable_bucket": True, "min_bucket_reso": 256,
    "max_bucket_reso": 2048, "bucket_no_upscale": True, "bucket_reso_steps": 64, "cache_latents": True,
    "learning_rate": 1e-4, "text_encoder_lr": 1e-4, "unet_lr": 1e-4, "lr_scheduler": "cosine", "lr_warmup": 10,
    "network_dim": 8, "network_alpha": 1, "conv_dim": 1, "conv_alpha": 1, "mixed_precision": "fp16",
    "save_precision": "fp16", "save_every_n_epochs": 1, "clip_skip": 1, "epoch": 1, "LoRA_type": "Standard",
    "LyCORIS_preset": "full", "noise_offset_type": "Original", "max_train_steps": 0, "max_train_epochs": 0,
    "xformers": "xformers", "additional_parameters": "", "factor": -1, "unit": 1,
}
"""What the program's window holds where a file does not name it."""

ZERO_IS_NONE = frozenset({
    "adaptive_noise_scale", "clip_skip", "ip_noise_gamma", "max_timestep", "max_train_epochs", "max_train_steps",
    "min_snr_gamma", "min_timestep", "multires_noise_iterations", "noise_offset", "sample_every_n_epochs",
    "sample_every_n_steps", "save_every_n_epochs", "save_every_n_steps", "save_last_n_epochs",
    "save_last_n_epochs_state", "save_last_n_steps", "save_last_n_steps_state", "seed", "unet_lr", "v_pred_like_loss",
    "vae_batch_size", "network_dropout", "scale_weight_norms",
})
"""Options that are not given to sd-scripts where the window shows 0."""

_BLOCKS = (
    "down_lr_weight", "mid_lr_weight", "up_lr_weight", "block_lr_zero_threshold", "block_dims", "block_alphas",
    "conv_block_dims", "conv_block_alphas", "rank_dropout", "module_dropout",
)
_PLUS = ("loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio")
_CONV = ("conv_dim", "conv_alpha")
_LYCORIS = ("preset", *_CONV, "rank_dropout", "module_dropout", "rank_dropout_scale", "train_norm", "use_tucker")
_DORA = ("bypass_mode", "dora_wd", "use_scalar")

TYPES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "Standard": ("networks.lora", "", (*_BLOCKS, *_PLUS)),
    "Kohya LoCon": ("networks.lora", "", (*_CONV, *_BLOCKS, *_PLUS)),
    "LoRA-FA": ("networks.lora_fa", "", (*_BLOCKS, *_PLUS)),
    "Kohya DyLoRA": ("networks.dylora", "", (*_CONV, "unit", *_BLOCKS, *_PLUS)),
    "Kohya LoHa": ("networks.loha", "", (*_CONV, "use_tucker", "rank_dropout", "module_dropout")),
    "Kohya LoKr": ("networks.lokr", "", (*_CONV, "use_tucker", "factor", "rank_dropout", "module_dropout")),
    "LyCORIS/LoCon": (LYCORIS, "locon", (*_LYCORIS, *_DORA)),
    "LyCORIS/LoHa": (LYCORIS, "loha", (*_LYCORIS, *_DORA)),
    "LyCORIS/LoKr": (LYCORIS, "lokr", (*_LYCORIS, *_DORA, "factor", "decompose_both", "use_cp")),
    "LyCORIS/iA3": (LYCORIS, "ia3", ("preset", *_CONV, "train_on_input")),
    "LyCORIS/GLoRA": (LYCORIS, "glora", _LYCORIS),
    "LyCORIS/DyLoRA": (LYCORIS, "dylora", ("preset", *_CONV, "use_tucker", "block_size", "rank_dropout",
                                           "module_dropout", "train_norm")),
    "LyCORIS/Diag-OFT": (LYCORIS, "diag-oft", (*_LYCORIS, "constraint", "rescaled")),
    "LyCORIS/BOFT": (LYCORIS, "boft", _LYCORIS),
    "LyCORIS/Native Fine-Tuning": (LYCORIS, "full", ("preset", "rank_dropout", "module_dropout", "rank_dropout_scale",
                                                     "train_norm")),
}
"""Its LoRA types: module, `algo` and which network arguments it hands over."""

OLD_TYPES = {"LoCon": "LyCORIS/LoCon"}

KEYS = {"preset": "LyCORIS_preset", "constraint": "constrain", "block_size": "unit"}
"""Its names for network arguments where they differ."""

SIGNS = frozenset({
    "LoRA_type", "max_resolution", "lr_warmup", "noise_offset_type", "additional_parameters", "sdxl_no_half_vae",
    "num_cpu_threads_per_process", "LyCORIS_preset", "stop_text_encoder_training_pct",
})
"""Names that only such a file has."""
