"""Forge's model of a tiny SD 1.x checkpoint, made of the doubles' parts, and how it draws.

As in Forge: everything is made in inference mode, the U-Net in float32, the text encoder in float16 with casting
layers, and a picture is drawn with the objects that the LoRAs were applied to. Imported while the doubles are
installed.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file

from tests import tiny_checkpoint

_SCALE = 0.18215
_CONTRAST = 3.0
"""Random weights draw pale pictures, in which a LoRA's effect would drown in 8-bit rounding."""


class Objects:
    """U-Net, text encoders and VAE of one purpose."""

    def __init__(self, unet: Any, clip: Any, vae: Any) -> None:
        self.unet, self.clip, self.vae = unet, clip, vae

    def shallow_copy(self) -> Objects:
        return Objects(self.unet, self.clip, self.vae)


class Vae(torch.nn.Module):
    """The VAE; `regulation` makes of the posterior what the caller wants, a sample otherwise."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def encode(self, x: torch.Tensor, regulation: Callable[[Any], Any] | None = None) -> Any:
        posterior = self.inner.encode(x).latent_dist
        return regulation(posterior) if regulation else posterior.sample()

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.inner.decode(z).sample


class Engine:
    """What `shared.sd_model` is."""

    is_sd1, is_sd2, is_sdxl = True, False, False

    def __init__(self, file: Path) -> None:
        self.model_config = SimpleNamespace(ztsnr=False)
        self.current_lora_hash = str([])
        self.forge_objects_original = _objects(load_file(file))
        self.forge_objects = self.forge_objects_original.shallow_copy()
        self.forge_objects_after_applying_lora = self.forge_objects_original.shallow_copy()

    @torch.inference_mode()
    def paint(self, p: Any, prompt: str, negative: str, seed: int) -> Image.Image:
        """Draws by DDIM (Song et al. 2020, eq. 12, eta = 0) with classifier-free guidance."""
        from backend import memory_management

        self.forge_objects = self.forge_objects_after_applying_lora.shallow_copy()
        unet, vae = self.forge_objects.unet, self.forge_objects.vae
        conds = p.conds(prompt, negative, self.said)
        memory_management.load_models_gpu([unet], memory_required=1)
        model = unet.model
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn((1, 4, p.height // 8, p.width // 8), generator=generator)
        times = torch.linspace(999, 0, p.steps + 1).long()
        table = model.predictor.alphas_cumprod
        for index in range(p.steps):
            now, later = table[times[index]], table[times[index + 1]]
            t = times[index].float().expand(2)
            cond, uncond = p.denoises(*conds, index)
            both = model.diffusion_model(x.repeat(2, 1, 1, 1), t, context=torch.cat([uncond, cond]),
                                         transformer_options={})
            noise = both[:1] + p.cfg_scale * (both[1:] - both[:1])
            x = later.sqrt() * (x - (1 - now).sqrt() * noise) / now.sqrt() + (1 - later).sqrt() * noise
            if not p.step_done(index + 1):
                break
        memory_management.load_models_gpu([vae.patcher], memory_required=1)
        pixels = vae.first_stage_model.decode(x / _SCALE)[0].mul(_CONTRAST).add(1).mul(127.5).clamp(0, 255)
        return Image.fromarray(pixels.permute(1, 2, 0).to(torch.uint8).numpy())

    def said(self, text: str) -> torch.Tensor:
        """Returns the states of a prompt."""
        tokenizer = self.forge_objects.clip.tokenizer.clip_l
        ids = tokenizer(text, padding="max_length", truncation=True, max_length=77, return_tensors="pt")["input_ids"]
        return self.states(ids)

    @torch.inference_mode()
    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns text states (B, 77, C) float32 of ids (B, 77)."""
        from backend import memory_management

        clip = self.forge_objects.clip
        memory_management.load_model_gpu(clip.patcher)
        network = clip.cond_stage_model.clip_l.transformer
        network.text_model.embeddings.to(torch.float32)  # for good, as Forge does when it first encodes
        return network(ids).last_hidden_state


def _objects(state: dict[str, torch.Tensor]) -> Objects:
    from backend import operations
    from backend.modules.k_model import KModel
    from backend.nn.unet import IntegratedUNet2DConditionModel
    from backend.patcher.clip import CLIP
    from backend.patcher.unet import UnetPatcher
    from backend.patcher.vae import VAE

    cpu = torch.device("cpu")
    with operations.using_forge_operations(dtype=torch.float32):
        unet = IntegratedUNet2DConditionModel(
            4, tiny_checkpoint.UNET_WIDTHS[0], 4, tiny_checkpoint.UNET_HEADS, tiny_checkpoint.TEXT_WIDTH)
    unet.load_state_dict(_part(state, "model.diffusion_model."))
    unet.storage_dtype = unet.computation_dtype = torch.float32  # type: ignore[assignment]
    with operations.using_forge_operations(dtype=torch.float16, manual_cast_enabled=True), _own_seed():
        text = _clip()
    text.half().load_state_dict(_part(state, "cond_stage_model.transformer."), strict=False)
    encoder = torch.nn.Module()
    encoder.transformer = text
    clip = CLIP(model_dict={"clip_l": encoder}, tokenizer_dict={"clip_l": _tokenizer()})
    vae = VAE(Vae(_autoencoder()))
    patcher = UnetPatcher(KModel(unet, None), load_device=cpu, offload_device=cpu)
    return Objects(patcher, clip, vae)


@contextmanager
def _own_seed() -> Iterator[None]:
    """Random weights made while open are always the same, and the process-wide generator does not notice."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _clip() -> Any:
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(
        hidden_size=tiny_checkpoint.TEXT_WIDTH, intermediate_size=4 * tiny_checkpoint.TEXT_WIDTH,
        num_hidden_layers=tiny_checkpoint.TEXT_LAYERS, num_attention_heads=tiny_checkpoint.TEXT_HEADS,
        projection_dim=tiny_checkpoint.TEXT_WIDTH, vocab_size=49408, hidden_act="quick_gelu"))


def _autoencoder() -> Any:
    """Returns a VAE of random weights, one for all checkpoints."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    with _own_seed():
        return AutoencoderKL(
            block_out_channels=(32, 32, 32, 32), layers_per_block=1, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _tokenizer() -> Any:
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    from lib_trainer.hosts.standalone.tokens import VOCABULARY

    return CLIPTokenizer(str(VOCABULARY / "vocab.json"), str(VOCABULARY / "merges.txt"))
