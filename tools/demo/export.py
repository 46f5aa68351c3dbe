"""Stage `export`: writes the checkpoint in the original LDM layout with its `.yaml`, and checks it.

The `.yaml` has the standard names of Stable Diffusion 1.x configurations with this checkpoint's sizes; hosts that
recognise checkpoints by the shape of their weights would otherwise take it for the full-width model.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tools.demo import ldm_keys, sampling
from tools.demo.models import text_config
from tools.demo.settings import ASSETS, LATENT_SCALE, PICTURE, TEXT, UNET, VAE

UNET_PREFIX, VAE_PREFIX = "model.diffusion_model.", "first_stage_model."
TEXT_PREFIX = "cond_stage_model.transformer."
LARGEST = 24_000_000
TEXT_FOLDER = "lib_trainer/assets/demo/text"


def to_ldm(networks: sampling.Networks) -> dict[str, torch.Tensor]:
    """All weights of the networks in half precision, under their LDM names."""
    state = {UNET_PREFIX + ldm_keys.unet_key(name): value for name, value in networks.unet.state_dict().items()}
    for name, value in networks.vae.state_dict().items():
        matrix = ldm_keys.is_vae_attention_matrix(name)
        state[VAE_PREFIX + ldm_keys.vae_key(name)] = value[:, :, None, None] if matrix else value
    state |= {TEXT_PREFIX + name: value for name, value in networks.text.state_dict().items()}
    state = {name: value.half().contiguous() for name, value in state.items()}
    state[TEXT_PREFIX + "text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return state


def from_ldm(state: dict[str, torch.Tensor], networks: sampling.Networks) -> None:
    """Put the weights of an LDM state into the networks; the inverse of `to_ldm`."""
    for model, prefix, rename in (
        (networks.unet, UNET_PREFIX, ldm_keys.unet_key),
        (networks.vae, VAE_PREFIX, ldm_keys.vae_key),
        (networks.text, TEXT_PREFIX, str),
    ):
        own = model.state_dict()
        model.load_state_dict({name: state[prefix + rename(name)].float().view_as(own[name]) for name in own})


def yaml_text() -> str:
    """The configuration beside the checkpoint."""
    widths = [width // UNET.widths[0] for width in UNET.widths]
    deep = [width // VAE.widths[0] for width in VAE.widths]
    return f"""# The demo checkpoint: Stable Diffusion 1.x topology, narrow.
# `version` names a folder with a CLIP text config and tokenizer; AUTOMATIC1111 wants an absolute path there.
model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    linear_start: 0.00085
    linear_end: 0.0120
    timesteps: 1000
    first_stage_key: jpg
    cond_stage_key: txt
    image_size: {PICTURE // 8}
    channels: 4
    cond_stage_trainable: false
    conditioning_key: crossattn
    scale_factor: {LATENT_SCALE}
    use_ema: false
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        image_size: {PICTURE // 8}
        in_channels: 4
        out_channels: 4
        model_channels: {UNET.widths[0]}
        attention_resolutions: [4, 2, 1]
        num_res_blocks: 2
        channel_mult: {widths}
        num_heads: {UNET.heads}
        use_spatial_transformer: true
        transformer_depth: 1
        context_dim: {TEXT.width}
        use_checkpoint: false
        legacy: false
    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params:
        embed_dim: 4
        ddconfig:
          double_z: true
          z_channels: 4
          resolution: {PICTURE}
          in_channels: 3
          out_ch: 3
          ch: {VAE.widths[0]}
          ch_mult: {deep}
          num_res_blocks: {VAE.res_blocks}
          attn_resolutions: []
          dropout: 0.0
        lossconfig:
          target: torch.nn.Identity
    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
      params:
        version: {TEXT_FOLDER}
"""


def write(work: Path, folder: Path = ASSETS) -> Path:
    """Write `demo.safetensors`, `demo.yaml` and `text/config.json`, and check that the file draws the same.

    Raises:
        ValueError: The file is too large, or its pictures differ from those of the trained networks.
    """
    networks = sampling.load(work)
    (folder / "text").mkdir(parents=True, exist_ok=True)
    path = folder / "demo.safetensors"
    save_file(to_ldm(networks), path, metadata={"format": "pt"})
    path.chmod(0o644)
    path.with_suffix(".yaml").write_text(yaml_text())
    config = {"architectures": ["CLIPTextModel"], **text_config().to_diff_dict()}
    config.pop("transformers_version", None)
    (folder / "text" / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, more than {LARGEST}.")
    _check(networks, path)
    return path


def _check(networks: sampling.Networks, path: Path) -> None:
    prompts = ["1girl, red hair, closed eyes, blue background", "1girl, blonde hair, open eyes, night"]
    before = sampling.generate(networks, prompts, seed=5)
    from_ldm(load_file(path), networks)
    after = sampling.generate(networks, prompts, seed=5)
    for first, second in zip(before, after, strict=True):
        difference = max(abs(a - b) for a, b in zip(first.tobytes(), second.tobytes(), strict=True))
        if difference > 16:
            raise ValueError(f"The exported file draws differently: {difference} of 255 levels.")
