"""What is trained: kind, size and beginning of the network. What `network_args` hold is in `network_args.py`."""
from __future__ import annotations

from lib_trainer.training.interchange.option import joined, same

OPTIONS = (
    joined("network_module", "text", None, "algorithm", "layers", "conv_rank", "conv_alpha"),
    joined("network_dim", "int", None, "rank"),
    joined("network_alpha", "float", 1, "alpha"),
    joined("network_dropout", "float", None, "network_dropout"),
    joined("network_args", "text", None, "conv_rank", "conv_alpha", "algorithm", "layers", several=True),
    joined("network_train_unet_only", "flag", False, "train_unet", "train_text_encoder"),
    joined("network_train_text_encoder_only", "flag", False, "train_unet", "train_text_encoder"),
    joined("network_weights", "path", None, "continue_from", "continue_alpha"),
    joined("dim_from_weights", "flag", False, "dim_from_weights"),
    same("scale_weight_norms", "float", None, off=0.0),
    joined("base_weights", "path", None, "base_loras", several=True),
    joined("base_weights_multiplier", "float", None, "base_loras", several=True),
)
