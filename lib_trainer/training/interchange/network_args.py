"""What `network_args` may hold, and the network modules: kohya's own and LyCORIS.

LyCORIS' names come from its `create_network`; those of `networks.*` from theirs. A name that a module does not know is
ignored there in silence; here it is told.
"""
from __future__ import annotations

from lib_trainer.lora.adapters.facts import FACTS
from lib_trainer.training.interchange.option import Option, joined, needless, same

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
    joined("dora_wd", "flag", False, "dora"),
    joined("weight_decompose", "flag", False, "dora"),
    same("train_norm", "flag", False),
    joined("use_tucker", "flag", False, "tucker"),
    *(joined(name, "flag", False, "tucker") for name in _OLD_TUCKER),
    same("use_scalar", "flag", False),
    same("factor", "int", None, off=-1),
    same("decompose_both", "flag", False),
    same("full_matrix", "flag", False),
    same("wd_on_output", "flag", True, "dora_on_output", off=True),
    needless("bypass_mode", "flag", False, "How a change is computed is chosen by what is faster; the result is the "
             "same."),
    same("unbalanced_factorization", "flag", False, "unbalanced"),
    same("constraint", "float", None, off=0.0),
    same("rescaled", "flag", False),
    needless("rank_dropout_scale", "flag", False, "LyCORIS' networks for kohya do not read it."),
    needless("train_on_input", "flag", True, "LyCORIS' networks for kohya do not read it: the preset ia3 says which "
             "layers are scaled at their input."),
    joined("enable_all_linear", "text", None, "layers"),
    joined("enable_conv", "text", None, "conv_rank"),
    needless("train_t5xxl", "flag", False, "SD and SDXL have no T5 encoder."),
    needless("train_llm_adapter", "flag", False, "SD and SDXL have no language model beside their encoders."),
)
NETWORK_ARGS: dict[str, Option] = {option.name: option for option in _TABLE}

PRESETS = {
    "full": ("full", True), "full-lin": ("full-lin", True), "attn-mlp": ("attn-mlp", True),
    "attn-only": ("attn-only", True), "ia3": ("ia3", True), "unet-only": ("full", False),
    "unet-transformer-only": ("attn-mlp", False), "unet-convblock-only": ("convolutions", False),
}
"""Our layers of each `preset` of LyCORIS, and whether it has those of the text encoders."""

KOHYA_LAYERS = "attn-mlp"
"""The layers of kohya's own modules."""

MODULES = {
    "": "lora", "networks.loha": "loha", "networks.lokr": "lokr",
    **{facts.module: kind for kind, facts in FACTS.items() if facts.module != LYCORIS},
}
"""Our algorithm of each network module but LyCORIS, which names its own in `algo`."""

ALGORITHMS = {
    **{facts.algo: kind for kind, facts in FACTS.items() if facts.algo}, "locon": "lora", "(ia)^3": "ia3",
    "dylora": "dylora", "oft": "oft",
}
"""Our algorithm of each `algo` of LyCORIS."""

OTHER_ALGORITHMS = {"tlora": "its rank follows the timestep, which no other program's files know: use lora."}
"""`algo` of LyCORIS that cannot be had, each with what to do instead."""

_BLOCKWISE = frozenset({
    "block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas", "down_lr_weight", "mid_lr_weight",
    "up_lr_weight", "block_lr_zero_threshold",
})
_PLUS = frozenset({"loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio"})
_KOHYA = _BLOCKWISE | _PLUS | {"conv_dim", "conv_alpha", "rank_dropout", "module_dropout", "dropout"}

READ_BY = {
    "networks.lora": _KOHYA, "networks.lora_fa": _KOHYA - _PLUS,
    "networks.dylora": _PLUS | {"conv_dim", "conv_alpha", "unit"},
    "networks.oft": frozenset({"enable_all_linear", "enable_conv"}),
    LYCORIS: NETWORK_ARGS.keys() - _BLOCKWISE - {"unit", "enable_all_linear", "enable_conv"},
}
"""The arguments that a module reads; it ignores all others in silence."""

OTHERS = {
    "networks.lora_flux": "it belongs to Flux, which cannot be trained here.",
    "networks.lora_sd3": "it belongs to SD3, which cannot be trained here.",
}
"""Modules that cannot be had, each with what to do instead."""
