"""Which block a layer belongs to, told from its name alone.

LoRA files name layers in kohya's way: a prefix for the network (`lora_unet_`, `lora_te_`, also `lycoris_` and
`oft_unet_`) and the module path with underscores. The path is that of diffusers (`down_blocks_1_attentions_0_...`) or
of the original checkpoint (`input_blocks_4_1_...`); both exist for both architectures. Layers of the text encoder's
transformer are BASE. The time embedding, the label embedding, the last convolution and the text encoder's embeddings
and final norm are in no block: block weights never touch them.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from lib_trainer.blocks.layouts import ARCH_BLOCKS, BASE, MIDDLE

_TEXT = re.compile(
    r"(?:(?:lora|lycoris|oft)_)?(?:te\d*_|(?:\d_)?(?:model_)?(?:transformer_)?(?:text_model_|resblocks_))"
)
_TEXT_LAYER = re.compile(r"(?:^|_)(?:encoder_layers|resblocks)_\d+(?:_|$)")
_UNET_PREFIX = re.compile(r"^(?:(?:lora|lycoris|oft)_)?(?:unet_|(?:model_)?diffusion_model_)?")
_TEXT_PREFIX = re.compile(r"^(?:(?:lora|lycoris|oft)_)?(?:te\d*_)?(?:\d_)?(?:transformer_(?=text_model))?")
_ORIGINAL = re.compile(r"(input|output)_blocks_(\d+)(?:_|$)")
_DIFFUSERS = re.compile(r"(down|up)_blocks_(\d+)_(\w+?)_(\d+)(?:_|$)")
_PLACES: dict[tuple[str, str], tuple[int, ...]] = {
    ("down", "resnets"): (0, 1),
    ("down", "attentions"): (0, 1),
    ("down", "downsamplers"): (2,),
    ("up", "resnets"): (0, 1, 2),
    ("up", "attentions"): (0, 1, 2),
    ("up", "upsamplers"): (2,),
}
"""Which of the three blocks of a level the parts of diffusers' down_blocks and up_blocks are in, by their number."""

_MIDDLE = re.compile(r"(?:middle_block_\d+|mid_block)(?:_|$)")

_KEPT = 16384
"""Layers remembered: some ten large LoRAs. A prompt asks for all of them again with every picture."""

_NO_LAYERS = ("__metadata__", "bundle_emb")
"""First parts of names in a LoRA file that are not layers: the header's metadata, embeddings that travel with it."""


@lru_cache(maxsize=_KEPT)
def is_text_encoder(layer: str) -> bool:
    """Whether a layer belongs to a text encoder (and so takes the `te` strength)."""
    return _TEXT.match(layer) is not None


def unet_path(layer: str) -> str:
    """Takes the prefix of a LoRA file off the name of a U-Net layer."""
    return _UNET_PREFIX.sub("", layer, count=1)


def text_path(layer: str) -> str:
    """Takes the prefix of a LoRA file, or the number of the encoder, off the name of a text-encoder layer."""
    return _TEXT_PREFIX.sub("", layer, count=1)


@lru_cache(maxsize=_KEPT)
def block_of(layer: str, arch: str) -> str | None:
    """Finds the block of a layer.

    Args:
        layer: kohya layer name, such as "lora_unet_mid_block_attentions_0_proj_in".
        arch: "sd15" or "sdxl".

    Returns:
        one of the 26 block names, or None for a layer in no block.
    """
    if is_text_encoder(layer):
        return BASE if _TEXT_LAYER.search(layer) else None
    path = unet_path(layer)
    if _MIDDLE.match(path):
        return MIDDLE
    block = "IN00" if path == "conv_in" else _original_block(path) or _diffusers_block(path)
    return block if block in ARCH_BLOCKS[arch] else None


def _original_block(path: str) -> str | None:
    found = _ORIGINAL.match(path)
    if found is None:
        return None
    return f"{'IN' if found[1] == 'input' else 'OUT'}{int(found[2]):02}"


def _diffusers_block(path: str) -> str | None:
    """Counts as the original does: OUT = 3*level + place, and IN one more, because conv_in is IN00."""
    found = _DIFFUSERS.match(path)
    if found is None:
        return None
    places, number = _PLACES.get((found[1], found[3]), ()), int(found[4])
    if number >= len(places):
        return None
    block = 3 * int(found[2]) + places[number]
    return f"IN{1 + block:02}" if found[1] == "down" else f"OUT{block:02}"


def layer_names(keys: Iterable[str]) -> list[str]:
    """Takes the layer names out of tensor names.

    Args:
        keys: tensor names of a LoRA file ("lora_te_..._q_proj.lora_down.weight") or plain layer names.

    Returns:
        every layer once, in the order of its first tensor.
    """
    layers = dict.fromkeys(key.split(".", 1)[0] for key in keys)
    return [layer for layer in layers if layer and layer not in _NO_LAYERS]
