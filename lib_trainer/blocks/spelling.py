"""The two names that every layer has.

A U-Net layer is called `input_blocks_4_1_proj_in` in the original checkpoints (and in the LoRA files of SDXL) and
`down_blocks_1_attentions_0_proj_in` by diffusers (and in the LoRA files of SD 1.x). A text-encoder layer is called
`text_model_encoder_layers_0_mlp_fc1` by transformers and `resblocks_0_mlp_c_fc` by OpenCLIP, whose encoder SD 2.x and
SDXL use. The hosts keep LoRAs under one name or the other, so whoever asks for a part of a name asks for both. The
first of the two, `usual_name`, is that of the original for the U-Net and that of transformers for the text encoders:
what the LoRA Block Weight extension sees in AUTOMATIC1111's WebUI.
"""
from __future__ import annotations

import re
from functools import lru_cache

from lib_trainer.blocks.layers import is_text_encoder, text_path, unet_path
from lib_trainer.blocks.layouts import EMBED, FINAL, FINE_MIDDLE

_RESNET = {"norm1": "in_layers_0", "conv1": "in_layers_2", "time_emb_proj": "emb_layers_1", "norm2": "out_layers_0",
           "conv2": "out_layers_3", "conv_shortcut": "skip_connection"}
_ALONE = {"conv_in": "input_blocks_0_0", "conv_norm_out": "out_0", "conv_out": "out_2",
          "time_embedding_linear_1": "time_embed_0", "time_embedding_linear_2": "time_embed_2",
          "add_embedding_linear_1": "label_emb_0_0", "add_embedding_linear_2": "label_emb_0_2"}
_TEXT = {"attn": "self_attn", "mlp_c_fc": "mlp_fc1", "mlp_c_proj": "mlp_fc2", "ln_1": "layer_norm1",
         "ln_2": "layer_norm2"}
_RESNET_BACK, _ALONE_BACK, _TEXT_BACK = ({new: old for old, new in table.items()} for table in (_RESNET, _ALONE, _TEXT))

_DIFFUSERS = re.compile(r"(down|up)_blocks_(\d+)_(resnets|attentions|downsamplers|upsamplers)_(\d+)(?:_(.*))?")
_DIFFUSERS_MIDDLE = re.compile(r"mid_block_(resnets|attentions)_(\d+)(?:_(.*))?")
_ORIGINAL = re.compile(r"(input|output)_blocks_(\d+)_(\d+)(?:_(.*))?")
_ORIGINAL_MIDDLE = re.compile(r"middle_block_([012])(?:_(.*))?")
_OPENCLIP = re.compile(r"(?:\d_)?(?:model_)?(?:transformer_)?resblocks_(\d+)_(.*)")
_TRANSFORMERS = re.compile(r"text_model_encoder_layers_(\d+)_(.*)")


@lru_cache(maxsize=8192)
def usual_name(layer: str) -> str:
    """Returns the original's path of a U-Net layer, transformers' path of a text-encoder layer, with underscores.

    Args:
        layer: a layer name in any spelling: with or without the prefix of a LoRA file, with dots or underscores.
    """
    name = layer.replace(".", "_")
    return _transformers(text_path(name)) if is_text_encoder(name) else _original(unet_path(name))


@lru_cache(maxsize=8192)
def other_name(layer: str) -> str:
    """Returns diffusers' path of a U-Net layer, OpenCLIP's of a text-encoder layer, with underscores."""
    name = usual_name(layer)
    return _openclip(name) if is_text_encoder(layer.replace(".", "_")) else _diffusers(name)


@lru_cache(maxsize=8192)
def fine_name(layer: str) -> str | None:
    """Returns which of `layouts.FINE` a layer belongs to: a part of the middle, the embeddings or the end."""
    if is_text_encoder(layer):
        return None
    path = usual_name(layer)
    if found := _ORIGINAL_MIDDLE.match(path):
        return FINE_MIDDLE[int(found[1])]
    if path.startswith(("time_embed_", "label_emb_")):
        return EMBED
    return FINAL if path in ("out_0", "out_2") else None


def _original(path: str) -> str:
    if found := _DIFFUSERS.fullmatch(path):
        return _original_of(found[1], int(found[2]), found[3], int(found[4]), found[5] or "")
    if found := _DIFFUSERS_MIDDLE.fullmatch(path):
        number = 1 if found[1] == "attentions" else 2 * int(found[2])
        return _joined("middle_block", number, _part(found[1], found[3] or ""))
    return _ALONE.get(path, path)


def _original_of(way: str, level: int, kind: str, number: int, rest: str) -> str:
    """Counts as the original does: three blocks a level; the input's own convolution comes before the first."""
    if kind == "downsamplers":
        return _joined("input_blocks", 3 * level + 3, 0, "op" if rest == "conv" else rest)
    if kind == "upsamplers":
        return _joined("output_blocks", 3 * level + 2, 2 if level else 1, rest)
    place = 3 * level + number + (way == "down")
    return _joined("input_blocks" if way == "down" else "output_blocks", place, int(kind == "attentions"),
                   _part(kind, rest))


def _part(kind: str, rest: str) -> str:
    return _RESNET.get(rest, rest) if kind == "resnets" else rest


def _diffusers(path: str) -> str:
    if path in _ALONE_BACK:
        return _ALONE_BACK[path]
    if found := _ORIGINAL.fullmatch(path):
        return _diffusers_of(found[1], int(found[2]), int(found[3]), found[4] or "") or path
    if found := _ORIGINAL_MIDDLE.fullmatch(path):
        number, rest = int(found[1]), found[2] or ""
        if number == 1:
            return _joined("mid_block_attentions_0", rest)
        return _joined("mid_block_resnets", number // 2, _RESNET_BACK.get(rest, rest))
    return path


def _diffusers_of(way: str, block: int, part: int, rest: str) -> str | None:
    """Returns None for the input's own convolution, which has no such place."""
    if way == "input" and block == 0:
        return None
    level, number = divmod(block - 1 if way == "input" else block, 3)
    blocks = f"{'down' if way == 'input' else 'up'}_blocks_{level}"
    if part == 0 and rest == "op":
        return f"{blocks}_downsamplers_0_conv"
    if part == 0:
        return _joined(blocks, "resnets", number, _RESNET_BACK.get(rest, rest))
    return f"{blocks}_upsamplers_0_conv" if rest == "conv" else _joined(blocks, "attentions", number, rest)


def _transformers(path: str) -> str:
    found = _OPENCLIP.fullmatch(path)
    return path if found is None else _joined("text_model_encoder_layers", found[1], _replaced(found[2], _TEXT))


def _openclip(path: str) -> str:
    found = _TRANSFORMERS.fullmatch(path)
    return path if found is None else _joined("resblocks", found[1], _replaced(found[2], _TEXT_BACK))


def _replaced(rest: str, table: dict[str, str]) -> str:
    for old, new in table.items():
        if rest == old or rest.startswith(f"{old}_"):
            return new + rest[len(old):]
    return rest


def _joined(*pieces: object) -> str:
    return "_".join(text for text in map(str, pieces) if text)
