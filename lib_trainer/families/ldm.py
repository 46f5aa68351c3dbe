"""Where a LoRA's layers are in a model built as the original checkpoints are: names to module paths and back.

The WebUIs hold the U-Net of the original code (LDM: `input_blocks.4.1.proj_in`), while kohya's names follow diffusers
for SD 1.x and 2.x (`lora_unet_down_blocks_1_attentions_0_proj_in`) and the original for SDXL. Both number the same 25
(19) places, diffusers level by level, LDM one after the other. Text encoders come in two builds: transformers' CLIP
(`text_model.encoder.layers.0.self_attn.q_proj`) and open_clip (`transformer.resblocks.0.attn`), where query, key and
value are the thirds of one weight. All functions answer None (or nothing) for a name or path that no LoRA has a layer
for; norms, `conv_in`, the time embedding and the like have names too, for the kinds of network that touch them.
"""
from __future__ import annotations

import re
from dataclasses import dataclass

from lib_trainer.families.family import Family

PREFIX = "lora_unet_"

_BOTH_WAYS = (
    ("input_blocks.0.0", "conv_in"),
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
)
"""LDM path and diffusers path of what is outside the blocks."""

_RESNET = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}
"""Parts of a residual block, LDM -> diffusers."""

_ATTENTION_PART = re.compile(
    r"norm|proj_in|proj_out|transformer_blocks\.\d+\.(?:norm[123]|attn[12]\.to_(?:[qkv]|out\.0)|ff\.net\.(?:0\.proj|2))"
)
_OUTSIDE = {ldm: diffusers for ldm, diffusers in _BOTH_WAYS}
_OUTSIDE_BACK = {diffusers.replace(".", "_"): ldm for ldm, diffusers in _BOTH_WAYS}
_RESNET_BACK = {diffusers: ldm for ldm, diffusers in _RESNET.items()}
_LDM = re.compile(r"(input_blocks|output_blocks)\.(\d+)\.(\d)\.(.+)|middle_block\.([012])\.(.+)")
_DIFFUSERS = re.compile(r"(down|up)_blocks_(\d)_(resnets|attentions|downsamplers|upsamplers)_(\d)_(.+)")
_DIFFUSERS_MIDDLE = re.compile(r"mid_block_(resnets|attentions)_(\d)_(.+)")
_LDM_NAME = re.compile(r"(input_blocks|output_blocks)_(\d+)_(\d)_(.+)|middle_block_([012])_(.+)")
_INDEXED = re.compile(r"(transformer_blocks|ff_net|attn[12]|to_out|in_layers|out_layers|emb_layers)_")

HF, OPEN_CLIP = "hf", "open_clip"
"""The two builds of text encoders."""

_HF_PATH = re.compile(r"(?:.*\.)?text_model\.encoder\.layers\.(\d+)\.(self_attn\.(?:q|k|v|out)_proj|mlp\.fc[12])$")
_OPEN_CLIP_PATH = re.compile(r"(?:.*\.)?resblocks\.(\d+)\.(attn|attn\.in_proj|attn\.out_proj|mlp\.c_fc|mlp\.c_proj)$")
_HF_NORM = re.compile(r"(?:.*\.)?text_model\.(?:encoder\.layers\.(\d+)\.layer_norm([12])|final_layer_norm)$")
_OPEN_CLIP_NORM = re.compile(r"(?:.*\.)?(?:resblocks\.(\d+)\.ln_([12])|ln_final)$")
_OPEN_CLIP = {"attn.out_proj": "self_attn_out_proj", "mlp.c_fc": "mlp_fc1", "mlp.c_proj": "mlp_fc2"}
_OPEN_CLIP_BACK = {name: path for path, name in _OPEN_CLIP.items()}
_FUSED = ("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj")
_TEXT_NAME = re.compile(r"_text_model_encoder_layers_(\d+)_((self_attn|mlp)_((?:q|k|v|out)_proj|fc[12]))")


def unet_layer(path: str, family: Family) -> str | None:
    """Returns the kohya layer name of a U-Net module.

    Args:
        path: module path in the original U-Net, such as "input_blocks.4.1.transformer_blocks.0.attn1.to_q".
        family: whose names to give.
    """
    if path in _OUTSIDE:
        return PREFIX + (path if family.named_as_ldm else _OUTSIDE[path]).replace(".", "_")
    named = _diffusers_path(path)
    if named is None:
        return None
    return PREFIX + (path if family.named_as_ldm else named).replace(".", "_")


def diffusers_path(path: str) -> str | None:
    """Returns where diffusers' U-Net has a module.

    Args:
        path: module path in the original U-Net, such as "input_blocks.4.1.proj_in".
    """
    return _OUTSIDE.get(path) or _diffusers_path(path)


def _diffusers_path(path: str) -> str | None:
    found = _LDM.fullmatch(path)
    if found is None:
        return None
    if found[5]:
        place, rest = int(found[5]), found[6]
        part = _part(rest, is_attention=place == 1)
        return part and f"mid_block.{'attentions.0' if place == 1 else f'resnets.{place // 2}'}.{part}"
    number, place, rest = int(found[2]), int(found[3]), found[4]
    is_down = found[1] == "input_blocks"
    level, index = divmod(number - 1 if is_down else number, 3)
    side = f"{'down' if is_down else 'up'}_blocks.{level}"
    if rest == "op" and is_down and index == 2:
        return f"{side}.downsamplers.0.conv"
    if rest == "conv" and not is_down and index == 2 and place in (1, 2):
        return f"{side}.upsamplers.0.conv"
    part = _part(rest, is_attention=place == 1) if place < 2 else None
    return part and f"{side}.{'attentions' if place == 1 else 'resnets'}.{index}.{part}"


def _part(rest: str, is_attention: bool) -> str | None:
    if is_attention:
        return rest if _ATTENTION_PART.fullmatch(rest) else None
    return _RESNET.get(rest)


def unet_path(layer: str, family: Family) -> str | None:
    """Returns the module path in the original U-Net of a kohya layer name.

    Args:
        layer: name as diffusers or as the original spells it, whichever the family's files usually use.
        family: whose U-Net it is.
    """
    if not layer.startswith(PREFIX):
        return None
    name = layer[len(PREFIX):]
    path = _OUTSIDE_BACK.get(name) or _from_diffusers(name, family) or _from_ldm(name)
    return path if path and unet_layer(path, family) else None


def _from_diffusers(name: str, family: Family) -> str | None:
    middle = _DIFFUSERS_MIDDLE.fullmatch(name)
    if middle:
        is_attention = middle[1] == "attentions"
        rest = _dotted(middle[3]) if is_attention else _RESNET_BACK.get(middle[3])
        return rest and f"middle_block.{1 if is_attention else 2 * int(middle[2])}.{rest}"
    found = _DIFFUSERS.fullmatch(name)
    if found is None:
        return None
    level, kind, index = int(found[2]), found[3], int(found[4])
    if kind == "downsamplers":
        return f"input_blocks.{3 * level + 3}.0.op" if found[5] == "conv" else None
    if kind == "upsamplers":
        place = 1 if level in family.bare_up_levels else 2
        return f"output_blocks.{3 * level + 2}.{place}.conv" if found[5] == "conv" else None
    is_attention = kind == "attentions"
    rest = _dotted(found[5]) if is_attention else _RESNET_BACK.get(found[5])
    block = f"input_blocks.{3 * level + index + 1}" if found[1] == "down" else f"output_blocks.{3 * level + index}"
    return rest and f"{block}.{int(is_attention)}.{rest}"


def _from_ldm(name: str) -> str | None:
    for path in _OUTSIDE:
        if name == path.replace(".", "_"):
            return path
    found = _LDM_NAME.fullmatch(name)
    if found is None:
        return None
    place = f"middle_block.{found[5]}" if found[5] else f"{found[1]}.{found[2]}.{found[3]}"
    return f"{place}.{_dotted(found[6] or found[4])}"


def _dotted(rest: str) -> str:
    """Returns the path of a part's name: "transformer_blocks_0_ff_net_2" -> "transformer_blocks.0.ff.net.2"."""
    path = _INDEXED.sub(lambda found: found[1].replace("ff_net", "ff.net") + ".", rest)
    return re.sub(r"(?<=\.)(\d+)_", r"\1.", path)


@dataclass(frozen=True)
class Place:
    """Where a text encoder's layer is.

    Attributes:
        path: of the module; for open_clip's query, key and value that of the attention, "...attn".
        third: 0, 1, 2 for query, key, value inside its `in_proj_weight`; None = the whole weight.
    """

    path: str
    third: int | None = None

    def rows(self, outputs: int) -> slice | None:
        """Returns the rows of a weight with this many output rows that are the layer's; None = all."""
        if self.third is None:
            return None
        return slice(self.third * outputs // 3, (self.third + 1) * outputs // 3)


def text_layers(path: str, prefix: str) -> dict[str, Place]:
    """Returns the kohya layer names that live in a text encoder's module.

    Args:
        path: module path, whatever stands before `text_model.` (transformers) or `resblocks.` (open_clip).
        prefix: kohya prefix of the encoder: "lora_te", "lora_te1" or "lora_te2".

    Returns:
        One name for an ordinary module, three for open_clip's attention, none for anything else.
    """
    if found := _HF_PATH.fullmatch(path):
        return {f"{prefix}_text_model_encoder_layers_{found[1]}_{found[2].replace('.', '_')}": Place(path)}
    if found := _OPEN_CLIP_PATH.fullmatch(path):
        layer = f"{prefix}_text_model_encoder_layers_{found[1]}_"
        if found[2] in _OPEN_CLIP:
            return {layer + _OPEN_CLIP[found[2]]: Place(path)}
        return {layer + name: Place(path, third) for third, name in enumerate(_FUSED)}
    return {}


def text_norm(path: str, prefix: str) -> str | None:
    """Returns the kohya layer name of a norm of a text encoder, by its module path; None of anything else."""
    found = _HF_NORM.fullmatch(path) or _OPEN_CLIP_NORM.fullmatch(path)
    if found is None:
        return None
    return f"{prefix}_text_model_" + (
        f"encoder_layers_{found[1]}_layer_norm{found[2]}" if found[1] else "final_layer_norm")


def text_place(layer: str, prefix: str, build: str) -> Place | None:
    """Returns where a kohya layer name is in a text encoder, below the encoder itself.

    Args:
        layer: such as "lora_te2_text_model_encoder_layers_0_self_attn_q_proj".
        prefix: kohya prefix of the encoder.
        build: HF ("text_model.encoder...") or OPEN_CLIP ("transformer.resblocks...").
    """
    found = _TEXT_NAME.fullmatch(layer[len(prefix):]) if layer.startswith(prefix) else None
    if found is None:
        return None
    if build == HF:
        return Place(f"text_model.encoder.layers.{found[1]}.{found[3]}.{found[4]}")
    block = f"transformer.resblocks.{found[1]}"
    if found[2] in _FUSED:
        return Place(f"{block}.attn", _FUSED.index(found[2]))
    return Place(f"{block}.{_OPEN_CLIP_BACK[found[2]]}") if found[2] in _OPEN_CLIP_BACK else None
