"""What training SDXL needs of a card's memory, counted on the meta device: no weights, no card, true sizes.

    python -m tools.memory_budget [--size 1024] [--batch 1] [--rank 16]

Weights, adapters and optimiser are counted from their shapes. For the activations the real U-Net runs forward with the
real adapters on it, and what autograd would keep is added up; attention keeps its inputs and its output, as torch's
flash and memory-efficient kernels do. With checkpointing a block's inputs stay, and the inside of one block at a time.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F

from lib_trainer.families.sdxl import SDXL
from lib_trainer.host_model import Target
from lib_trainer.hosts.recompute import blocks_of
from lib_trainer.hosts.standalone import layers, storage
from lib_trainer.lora.layers import HostShape, LoraLayer
from lib_trainer.lora.network import Network

GB = 1e9
TEXT_WEIGHTS, VAE_WEIGHTS = 817_713_152, 83_653_863
"""Numbers of both text encoders and of the VAE."""


def unet() -> UNet2DConditionModel:
    """Returns SDXL's U-Net in bf16 without numbers, its big weights stored in 8 bits."""
    with torch.device("meta"):
        made = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280), layers_per_block=2, cross_attention_dim=2048,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20), use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816)
    made.to(torch.bfloat16).requires_grad_(False)
    storage.store(made)
    return made


def network(targets: list[Target], rank: int) -> Network:
    """Returns a LoRA of all linear layers without numbers."""
    chosen = [target for target in targets if SDXL.is_attention_layer(target.name)]
    members = []
    for target in chosen:
        shape = HostShape.of(target)
        down, up = torch.empty(rank, shape.inputs, device="meta"), torch.empty(shape.outputs, rank, device="meta")
        members.append(LoraLayer(target.name, shape, down, up, float(rank)))
    return Network(members)


class _Attention(torch.autograd.Function):
    """Keeps what a fused attention keeps."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, out)
        return out


@contextmanager
def fused_attention() -> Iterator[None]:
    """While open, torch's attention keeps what a fused one would."""
    found = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = lambda q, k, v, **_: _Attention.apply(q, k, v)  # type: ignore[assignment]
    try:
        yield
    finally:
        F.scaled_dot_product_attention = found  # type: ignore[assignment]


class Kept:
    """Adds up what autograd keeps, each piece of memory once, weights not."""

    def __init__(self, weights: set[int]) -> None:
        self._weights = weights
        self._seen: dict[int, Tensor] = {}

    @property
    def bytes(self) -> int:
        """The sum."""
        return sum(tensor.untyped_storage().nbytes() for tensor in self._seen.values())

    def add(self, tensor: Tensor) -> Tensor:
        """Counts a tensor."""
        place = tensor.untyped_storage()._cdata
        if place not in self._weights:
            self._seen[place] = tensor
        return tensor


def activations(made: UNet2DConditionModel, lora: Network, targets: list[Target], size: int, batch: int) -> list[int]:
    """Returns bytes kept without checkpointing, the blocks' inputs alone, and the inside of the biggest block."""
    weights = {weight.untyped_storage()._cdata for weight in made.parameters()}
    weights |= {factor.untyped_storage()._cdata for layer in lora.layers.values() for factor in layer.parameters()}
    every, inputs, biggest = Kept(weights), Kept(weights), [0]
    inside: list[Kept] = []

    def keep(tensor: Tensor) -> Tensor:
        for kept in (every, *inside):
            kept.add(tensor)
        return tensor

    def enter(block: torch.nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        for given in (*args, *named.values()):
            if isinstance(given, Tensor):
                inputs.add(given)
        inside.append(Kept(weights))

    def leave(block: torch.nn.Module, args: tuple[Any, ...], output: object) -> None:
        biggest[0] = max(biggest[0], inside.pop().bytes)

    handles = [remove for block in blocks_of([made]) for remove in (
        block.register_forward_pre_hook(enter, with_kwargs=True), block.register_forward_hook(leave))]
    latents = torch.empty(batch, 4, size // 8, size // 8, device="meta", dtype=torch.bfloat16)
    text = torch.empty(batch, 77, 2048, device="meta", dtype=torch.bfloat16)
    told = {"text_embeds": torch.empty(batch, 1280, device="meta", dtype=torch.bfloat16),
            "time_ids": torch.empty(batch, 6, device="meta")}
    with lora.attached(targets), fused_attention(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        made(latents, torch.zeros(batch, device="meta", dtype=torch.int64), text, added_cond_kwargs=told)
    for handle in handles:
        handle.remove()
    return [every.bytes, inputs.bytes, biggest[0]]


def rows(size: int, batch: int, rank: int) -> Iterator[tuple[str, float]]:
    """Yields what takes how many GB."""
    made = unet()
    targets = layers.targets(made, [], SDXL)
    lora = network(targets, rank)
    stored = sum(weight.numel() * weight.dtype.itemsize for weight in made.parameters())
    numbers = sum(weight.numel() for weight in made.parameters())
    factors = sum(factor.numel() for layer in lora.layers.values() for factor in layer.parameters())
    yield "U-Net in bf16 or fp16", 2 * numbers / GB
    yield "U-Net with base_precision fp8_unet", stored / GB
    yield "both text encoders in 16 bits (offloaded once captions are cached)", 2 * TEXT_WEIGHTS / GB
    yield "VAE in fp32 (offloaded after caching)", 4 * VAE_WEIGHTS / GB
    yield f"adapters of rank {rank} on all linear layers, fp32, with gradients", 8 * factors / GB
    yield "AdamW's two averages", 8 * factors / GB
    yield "AdamW8bit's", 2 * factors / GB
    whole, inputs, biggest = activations(made, lora, targets, size, batch)
    yield f"activations at {size} px, batch {batch}", whole / GB
    yield "the same with gradient checkpointing", (inputs + biggest) / GB


def main(say: Callable[[str], None] = print) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--size", 1024), ("--batch", 1), ("--rank", 16)):
        parser.add_argument(name, type=int, default=default)
    asked = parser.parse_args()
    for label, amount in rows(asked.size, asked.batch, asked.rank):
        say(f"{amount:7.2f} GB  {label}")


if __name__ == "__main__":
    main()
