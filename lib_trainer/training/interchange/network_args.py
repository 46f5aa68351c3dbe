"""What `network_args` may hold, and the network modules: kohya's own and LyCORIS.

LyCORIS' names come from its `create_network`; those of `networks.*` from theirs. A name that a module does not know is
ignored there in silence; here it is told.
"""
from __future__ import annotations

from lib_trainer.training.interchange.option import Option, joined, needless, same, unsupported

LYCORIS = "lycoris.kohya"

_OLD_TUCKER = ("use_cp", "use_conv_cp", "disable_conv_cp")

_TABLE = (
    joined("conv_dim", "int", None, "conv_rank"),
    joined("conv_alpha", "float", None, "conv_alpha"),
    joined("algo", "text", None, "algorithm"),
    joined("preset", "text", None, "layers"),
    same("rank_dropout", "float", None, off=0.0),
    same("module_dropout", "float", None, off=0.0),
    joined("dropout", "float", None, "network_dropout"),
    same("block_dims", "text", None, off=""),
    same("block_alphas", "text", None, off=""),
    same("conv_block_dims", "text", None, off=""),
    same("conv_block_alphas", "text", None, off=""),
    joined("down_lr_weight", "text", None, "block_lrs"),
    joined("mid_lr_weight", "text", None, "block_lrs"),
    joined("up_lr_weight", "text", None, "block_lrs"),
    same("block_lr_zero_threshold", "float", None, off=0.0),
    same("loraplus_lr_ratio", "float", None, "lora_plus", off=0.0),
    same("loraplus_unet_lr_ratio", "float", None, "lora_plus_unet", off=0.0),
    same("loraplus_text_encoder_lr_ratio", "float", None, "lora_plus_text_encoder", off=0.0),
    joined("unit", "int", None, "dylora_unit"),
    joined("block_size", "int", None, "dylora_unit"),
    same("rs_lora", "flag", False),
    same("dora_wd", "flag", False, "dora"),
    same("train_norm", "flag", False),
    joined("use_tucker", "flag", False, "tucker"),
    *(joined(name, "flag", False, "tucker") for name in _OLD_TUCKER),
    same("use_scalar", "flag", False),
    same("factor", "int", None, off=-1),
    same("decompose_both", "flag", False),
    same("full_matrix", "flag", False),
    unsupported("wd_on_output", "flag", True, "The magnitude of DoRA belongs to the outputs, as LyCORIS itself does "
                "unless told otherwise."),
    needless("bypass_mode", "flag", False, "How a change is computed is chosen by what is faster; the result is the "
             "same."),
    unsupported("unbalanced_factorization", "flag", False, "LoKr splits both sides the usual way; choose `factor`."),
    unsupported("constraint", "float", None, "OFT turns without a constraint here."),
    unsupported("rescaled", "flag", False, "OFT turns without a scale of its own here."),
    unsupported("rank_dropout_scale", "flag", False, "What rank dropout leaves is not made greater."),
    unsupported("train_on_input", "flag", True, "(IA)3 scales what LyCORIS' own list of layers scales."),
    unsupported("enable_all_linear", "text", None, "Choose the layers with `layers`."),
    unsupported("enable_conv", "text", None, "Convolutions are on where conv_dim is above 0."),
    needless("train_t5xxl", "flag", False, "SD and SDXL have no T5 encoder."),
    needless("train_llm_adapter", "flag", False, "SD and SDXL have no language model beside their encoders."),
)
NETWORK_ARGS: dict[str, Option] = {option.name: option for option in _TABLE}

MODULES = {
    "": "lora", "networks.lora": "lora", "networks.lora_fa": "lora_fa", "networks.dylora": "dylora",
    "networks.loha": "loha", "networks.lokr": "lokr", LYCORIS: "",
}
"""Our algorithm of each network module; LyCORIS names its own in `algo`."""

ALGORITHMS = {
    "lora": "lora", "locon": "lora", "loha": "loha", "lokr": "lokr", "ia3": "ia3", "(ia)^3": "ia3",
    "dylora": "dylora", "glora": "glora", "full": "full", "diag-oft": "oft", "oft": "oft", "boft": "boft",
}
"""Our algorithm of each `algo` of LyCORIS."""

OTHERS = {
    "networks.oft": "kohya's own OFT counts blocks and clips them: use network_module=lycoris.kohya algo=diag-oft.",
    "networks.lora_flux": "it belongs to Flux, which cannot be trained here.",
    "networks.lora_sd3": "it belongs to SD3, which cannot be trained here.",
}
"""Modules that cannot be had, each with what to do instead."""
