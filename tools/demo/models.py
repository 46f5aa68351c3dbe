"""Builds the three networks of the demo checkpoint, untrained, with the classes of diffusers and transformers."""

from __future__ import annotations

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tools.demo.settings import LATENT_SCALE, PICTURE, TEXT, TOKENIZER, UNET, VAE


def build_vae() -> AutoencoderKL:
    """The autoencoder: three halvings, four latent channels, attention in the middle."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=VAE.widths,
        layers_per_block=VAE.res_blocks,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=PICTURE,
        scaling_factor=LATENT_SCALE,
    )


def build_unet() -> UNet2DConditionModel:
    """The U-Net of Stable Diffusion 1.5, narrow (diffusers names the number of heads `attention_head_dim`)."""
    return UNet2DConditionModel(
        sample_size=PICTURE // 8,
        block_out_channels=UNET.widths,
        layers_per_block=2,
        cross_attention_dim=TEXT.width,
        attention_head_dim=UNET.heads,
        norm_num_groups=32,
    )


def text_config() -> CLIPTextConfig:
    """A narrow CLIP text encoder with the real vocabulary."""
    return CLIPTextConfig(
        hidden_size=TEXT.width,
        intermediate_size=TEXT.width * 4,
        num_hidden_layers=TEXT.layers,
        num_attention_heads=TEXT.heads,
        max_position_embeddings=77,
        vocab_size=49408,
        projection_dim=TEXT.width,
        hidden_act="quick_gelu",
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
    )


def build_text() -> CLIPTextModel:
    """The text encoder, untrained."""
    return CLIPTextModel(text_config())


def build_tokenizer() -> CLIPTokenizer:
    """The tokenizer from the files in the project's assets."""
    return CLIPTokenizer.from_pretrained(TOKENIZER)


def build_schedule() -> DDIMScheduler:
    """Stable Diffusion's noise schedule with the DDIM sampler."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )
