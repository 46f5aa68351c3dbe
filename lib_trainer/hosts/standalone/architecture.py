"""Infers the sizes of a checkpoint's U-Net and VAE from the shapes of its tensors.

Any width is welcome: channel counts, residual blocks per level, places and depths of attention are all read from
shapes. Numbers of attention heads leave no trace in a shape; they come from the `.yaml` beside the checkpoint, else
from the family's rule: 8 heads in SD 1.x, 64 columns per head in SD 2.x and SDXL. The text encoders are in
`text_parts`.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lib_trainer.families.family import Family
from lib_trainer.hosts.checkpoint_file import setting
from lib_trainer.hosts.kinds import UNET, VAE, Shapes

TIME_WIDTH = 256
"""Waves of one size id (`hosts.size_ids`)."""


def unet_config(shapes: Shapes, yaml_config: dict[str, object], family: Family) -> dict[str, Any]:
    """Returns the arguments of diffusers' `UNet2DConditionModel` for LDM-named shapes.

    Raises:
        KeyError: a tensor is missing.
    """
    blocks = count(shapes, UNET + "input_blocks.")
    starts = [i for i in range(1, blocks) if UNET + f"input_blocks.{i}.0.op.weight" in shapes]
    firsts = [1, *(i + 1 for i in starts)]
    widths = tuple(shapes[UNET + f"input_blocks.{i}.0.out_layers.3.weight"][0] for i in firsts)
    attention = [UNET + f"input_blocks.{i}.1.norm.weight" in shapes for i in firsts]
    middle = UNET + "middle_block.1.transformer_blocks."
    return {
        "in_channels": shapes[UNET + "input_blocks.0.0.weight"][1],
        "out_channels": shapes[UNET + "out.2.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": starts[0] - 1,
        "down_block_types": tuple("CrossAttnDownBlock2D" if has else "DownBlock2D" for has in attention),
        "up_block_types": tuple("CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(attention)),
        "cross_attention_dim": shapes[f"{middle}0.attn2.to_k.weight"][1],
        # diffusers calls the number of heads `attention_head_dim` (huggingface/diffusers#2011)
        "attention_head_dim": _heads(yaml_config, widths, family),
        "transformer_layers_per_block": _depths(shapes, firsts, attention, count(shapes, middle)),
        "use_linear_projection": len(shapes[UNET + "middle_block.1.proj_in.weight"]) == 2,
        **_size_ids(shapes, family),
    }


def _depths(shapes: Shapes, firsts: list[int], attention: list[bool], middle: int) -> tuple[int, ...]:
    """Transformer layers per level; where a level has no attention the number is not used."""
    depths = [count(shapes, UNET + f"input_blocks.{i}.1.transformer_blocks.") if has else 1
              for i, has in zip(firsts, attention, strict=True)]
    if not attention[-1]:
        depths[-1] = middle  # diffusers makes the middle as deep as the last level
    return tuple(depths)


def _size_ids(shapes: Shapes, family: Family) -> dict[str, Any]:
    if not family.has_size_ids:
        return {}
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": TIME_WIDTH,
        "projection_class_embeddings_input_dim": shapes[UNET + "label_emb.0.0.weight"][1],
    }


def _heads(yaml_config: dict[str, object], widths: tuple[int, ...], family: Family) -> int | tuple[int, ...]:
    found = [(setting(yaml_config, "model", "params", part, "params", "num_heads"),
              setting(yaml_config, "model", "params", part, "params", "num_head_channels"))
             for part in ("unet_config", "network_config")]
    heads, columns = next((pair for pair in found if any(pair)), (None, None))
    if isinstance(heads, int) and heads > 0:
        return heads
    if not isinstance(columns, int) or columns <= 0:
        columns = family.head_width
    return tuple(max(1, channels // columns) for channels in widths) if columns else family.heads


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """Returns the arguments of diffusers' `AutoencoderKL` for LDM-named shapes."""
    levels = count(shapes, VAE + "encoder.down.")
    widths = tuple(shapes[VAE + f"encoder.down.{i}.block.0.conv1.weight"][0] for i in range(levels))
    return {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": shapes[VAE + "post_quant_conv.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": count(shapes, VAE + "encoder.down.0.block."),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
    }


def count(names: Iterable[str], prefix: str) -> int:
    """Returns how many numbered children a prefix has."""
    return len({name[len(prefix):].split(".", 1)[0] for name in names if name.startswith(prefix)})
