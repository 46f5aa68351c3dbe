"""Networks of every kind for the tests: what is asked for, and factors that have learned something."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lib_trainer.families.sd1 import SD1
from lib_trainer.host_model import Target
from lib_trainer.lora import network as networks
from lib_trainer.lora.adapters.form import Form
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.network import Network
from tests.lora.kinds import norms
from tests.lora.models import layers

PLAIN = NetworkSpec(rank=2, alpha=3.0, conv_rank=2, conv_alpha=1.0)


def _spec(algorithm: str, **form: Any) -> NetworkSpec:
    return replace(PLAIN, algorithm=algorithm, form=Form(**form))


KINDS: dict[str, NetworkSpec] = {
    "lora": _spec("lora"),
    "lora_tucker": _spec("lora", tucker=True),
    "lora_scalar": _spec("lora", scalar=True),
    "lora_rs": _spec("lora", rs_lora=True),
    "dora": _spec("lora", dora=True),
    "dora_on_input": _spec("lora", dora=True, dora_on_output=False),
    "dora_tucker": _spec("lora", dora=True, tucker=True),
    "lora_fa": _spec("lora_fa"),
    "dylora": _spec("dylora"),
    "dylora_units": _spec("dylora", unit=2),
    "loha": _spec("loha"),
    "loha_tucker": _spec("loha", tucker=True),
    "loha_dora_scalar": _spec("loha", dora=True, scalar=True),
    "lokr": replace(_spec("lokr", factor=2), rank=1, conv_rank=1),
    "lokr_square": replace(_spec("lokr"), rank=1, conv_rank=1),
    "lokr_both": replace(_spec("lokr", decompose_both=True, unbalanced=True), rank=1, conv_rank=1),
    "lokr_full": _spec("lokr", full_matrix=True),
    "lokr_tucker_dora": replace(_spec("lokr", factor=2, tucker=True, dora=True), rank=1, conv_rank=1),
    "lokr_scalar_rs": replace(_spec("lokr", factor=2, scalar=True, rs_lora=True), rank=1, conv_rank=1),
    "glora": _spec("glora"),
    "glora_scalar_rs": _spec("glora", scalar=True, rs_lora=True),
    "ia3": replace(_spec("ia3"), layers="ia3"),
    "oft": _spec("oft"),
    "oft_bounded": _spec("oft", constraint=0.05, rescaled=True),
    "oft_kohya": replace(_spec("oft_kohya"), alpha=0.05, conv_alpha=0.02, text_encoder=False),
    "boft": _spec("boft"),
    "boft_bounded": _spec("boft", constraint=0.05, rescaled=True),
    "full": _spec("full"),
    "norms": replace(_spec("lora"), norms=True),
}
"""Every kind that can be trained, in every form that makes a difference."""

IA3_INPUT = "lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_2"
IA3_OUTPUT = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_k"


def targets() -> list[Target]:
    """Returns frozen layers of every sort, norms and those of (IA)^3 among them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        more = [Target(name, nn.Linear(6, 8).requires_grad_(False)) for name in (IA3_INPUT, IA3_OUTPUT)]
    return [*layers(), *more, *norms()]


def fresh(kind: str, seed: int = 0) -> tuple[list[Target], Network]:
    """Returns layers of a model and a new network of a kind for them."""
    found = targets()
    return found, networks.create(found, KINDS[kind], SD1, seed)


def learned(kind: str, seed: int = 0) -> tuple[list[Target], Network]:
    """Returns layers of a model and a network of a kind whose parameters have all moved from their start."""
    found, network = fresh(kind, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.layers.values():
            for parameter in layer.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return found, network


def input_for(target: Target) -> Tensor:
    """Returns a batch of inputs that fits a layer of `targets`."""
    module = target.module
    channels = 8 if isinstance(module, nn.LayerNorm | nn.GroupNorm) else 6
    shape = (2, channels, 7, 5) if isinstance(module, nn.Conv2d | nn.GroupNorm) else (2, 5, channels)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def outputs(found: list[Target]) -> dict[str, Tensor]:
    """Runs every layer."""
    return {target.name: target.module(input_for(target)) for target in found}


def gradients(found: list[Target], network: Network, recompute: bool) -> list[Tensor | None]:
    """Returns the gradients of all factors of an attached network, with or without checkpointing every layer."""
    losses = []
    for target in found:
        x = input_for(target)
        out = checkpoint(target.module, x, use_reentrant=False) if recompute else target.module(x)
        losses.append(out.square().sum())
    torch.stack(losses).sum().backward()
    return [factor.grad for layer in network.layers.values() for factor in layer.parameters()]
