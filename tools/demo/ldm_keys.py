"""Names of the same weights in diffusers' modules and in the original Stable Diffusion (LDM) layout.

diffusers numbers blocks level by level and keeps resnets, attentions and samplers apart; LDM numbers every place of
the U-Net in order (12 input blocks, a middle block, 12 output blocks) and the decoder's levels from the top.
"""

from __future__ import annotations

import re

Rule = tuple[str, str]

_RESNET: dict[str, str] = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION: dict[str, str] = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def unet_key(name: str) -> str:
    """LDM name (below `model.diffusion_model.`) of a weight of `UNet2DConditionModel`."""
    for plain, ldm in (
        ("time_embedding.linear_1.", "time_embed.0."),
        ("time_embedding.linear_2.", "time_embed.2."),
        ("conv_in.", "input_blocks.0.0."),
        ("conv_norm_out.", "out.0."),
        ("conv_out.", "out.2."),
    ):
        if name.startswith(plain):
            return ldm + name.removeprefix(plain)
    place, kind, rest = _unet_place(name)
    if kind == "resnets":
        part = next(part for part in _RESNET if rest.startswith(part + "."))
        rest = _RESNET[part] + rest.removeprefix(part)
    return f"{place}.{rest}"


def _unet_place(name: str) -> tuple[str, str, str]:
    """Where a weight belongs, what kind of module holds it, and the rest of its name."""
    found = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)", name)
    if found:
        side, level, kind, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if kind == "downsamplers":
            return f"input_blocks.{3 * level + 3}.0", kind, rest.replace("conv.", "op.", 1)
        if kind == "upsamplers":
            return f"output_blocks.{3 * level + 2}.{1 if level == 0 else 2}", kind, rest
        block = f"input_blocks.{3 * level + 1 + number}" if side == "down" else f"output_blocks.{3 * level + number}"
        return f"{block}.{0 if kind == 'resnets' else 1}", kind, rest
    found = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name)
    if not found:
        raise KeyError(f"Not a weight of the U-Net: {name}")
    return f"middle_block.{1 if found[1] == 'attentions' else 2 * int(found[2])}", found[1], found[3]


def vae_key(name: str) -> str:
    """LDM name (below `first_stage_model.`) of a weight of `AutoencoderKL`."""
    name = name.replace("conv_norm_out.", "norm_out.").replace("conv_shortcut.", "nin_shortcut.")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{3 - int(m[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", name)
    if "mid_block.attentions.0." in name:
        head, _, tail = name.partition("mid_block.attentions.0.")
        part = next(part for part in _VAE_ATTENTION if tail.startswith(part + "."))
        name = f"{head}mid.attn_1.{_VAE_ATTENTION[part]}{tail.removeprefix(part)}"
    return name


def is_vae_attention_matrix(name: str) -> bool:
    """Whether LDM stores this weight of the autoencoder as a 1 x 1 convolution where diffusers has a matrix."""
    return bool(re.search(r"mid_block\.attentions\.0\.to_\w+(\.0)?\.weight$", name))
