"""Infers the sizes of a checkpoint's three networks from the shapes of its tensors.

Any width is welcome: channel counts, residual blocks per level, places of attention, depth and width of the text
encoder are all read from shapes. Numbers of attention heads leave no trace in a shape; they come from the `.yaml`
beside the checkpoint, else from SD 1.5's rule: 8 heads in the U-Net, 64 columns per head in the text encoder.
"""
from __future__ import annotations

from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.hosts.checkpoint_file import setting
from lib_trainer.hosts.kinds import TEXT, UNET, VAE, Shapes

SD15_HEADS = 8
SD15_TEXT_WIDTH = 768
TEXT_HEAD_WIDTH = 64


def unet_config(shapes: Shapes, yaml_config: dict[str, object]) -> dict[str, Any]:
    """Returns the arguments of diffusers' `UNet2DConditionModel` for LDM-named shapes."""
    blocks = _count(shapes, UNET + "input_blocks.")
    starts = [i for i in range(1, blocks) if UNET + f"input_blocks.{i}.0.op.weight" in shapes]
    layers = starts[0] - 1
    firsts = [1, *(i + 1 for i in starts)]
    widths = tuple(shapes[UNET + f"input_blocks.{i}.0.out_layers.3.weight"][0] for i in firsts)
    attention = [UNET + f"input_blocks.{i}.1.norm.weight" in shapes for i in firsts]
    context = shapes[UNET + "middle_block.1.transformer_blocks.0.attn2.to_k.weight"][1]
    return {
        "in_channels": 4,
        "out_channels": shapes[UNET + "out.2.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": tuple("CrossAttnDownBlock2D" if has else "DownBlock2D" for has in attention),
        "up_block_types": tuple("CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(attention)),
        "cross_attention_dim": context,
        # diffusers calls the number of heads `attention_head_dim` (huggingface/diffusers#2011)
        "attention_head_dim": _unet_heads(yaml_config, widths),
        "transformer_layers_per_block": _count(shapes, UNET + "middle_block.1.transformer_blocks."),
    }


def _unet_heads(yaml_config: dict[str, object], widths: tuple[int, ...]) -> int | tuple[int, ...]:
    params = ("model", "params", "unet_config", "params")
    heads = setting(yaml_config, *params, "num_heads")
    width = setting(yaml_config, *params, "num_head_channels")
    if isinstance(heads, int) and heads > 0:
        return heads
    if isinstance(width, int) and width > 0:
        return tuple(channels // width for channels in widths)
    return SD15_HEADS


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """Returns the arguments of diffusers' `AutoencoderKL` for LDM-named shapes."""
    levels = _count(shapes, VAE + "encoder.down.")
    widths = tuple(shapes[VAE + f"encoder.down.{i}.block.0.conv1.weight"][0] for i in range(levels))
    return {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": shapes[VAE + "post_quant_conv.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": _count(shapes, VAE + "encoder.down.0.block."),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
    }


def text_config(shapes: Shapes, yaml_config: dict[str, object], folder_config: dict[str, object]) -> dict[str, Any]:
    """Returns the arguments of transformers' `CLIPTextConfig` for names that start with `text_model.`.

    Args:
        shapes: the text encoder's shapes, prefix removed.
        yaml_config: the `.yaml` beside the checkpoint.
        folder_config: the text encoder's `config.json`, when the `.yaml` names a folder that has one.

    Raises:
        UserError: the number of heads is wrong or cannot be known.
    """
    words, width = shapes["text_model.embeddings.token_embedding.weight"]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "projection_dim": width,
        "intermediate_size": shapes["text_model.encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _count(shapes, "text_model.encoder.layers."),
        "num_attention_heads": _text_heads(width, yaml_config, folder_config),
        "max_position_embeddings": shapes["text_model.embeddings.position_embedding.weight"][0],
        "hidden_act": "quick_gelu",
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407,
    }


def _text_heads(width: int, yaml_config: dict[str, object], folder_config: dict[str, object]) -> int:
    heads = folder_config.get("num_attention_heads")
    version = setting(yaml_config, "model", "params", "cond_stage_config", "params", "version")
    if heads is None and version and width != SD15_TEXT_WIDTH:
        raise UserError(f"The .yaml beside the checkpoint names the text encoder's folder '{version}', but it has no "
                        "config.json. Put that folder beside the checkpoint.")
    if heads is None:
        return max(1, width // TEXT_HEAD_WIDTH)
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise UserError(f"The text encoder's config.json says num_attention_heads {heads!r}, which does not divide "
                        f"its width {width}. Mend the config.json that came with the checkpoint.")
    return heads


def text_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Returns the text encoder's shapes by transformers' names (see `text_name`)."""
    return {text_name(name): shape for name, shape in shapes.items() if name.startswith(TEXT)}


def text_name(name: str) -> str:
    """Returns transformers' name of a text-encoder tensor; files made with transformers < 4.5 lack `text_model.`."""
    rest = name.removeprefix(TEXT)
    return rest if rest.startswith("text_model.") else "text_model." + rest


def _count(shapes: Shapes, prefix: str) -> int:
    """How many numbered children a prefix has."""
    return len({name[len(prefix):].split(".", 1)[0] for name in shapes if name.startswith(prefix)})
