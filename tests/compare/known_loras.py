"""LoRAs whose effect lies where the test put it: in some blocks only, in each as strong as asked."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from lib_trainer.blocks.layers import block_of
from lib_trainer.host import Host
from lib_trainer.lora import file, network


def write(host: Host, name: str, strengths: Mapping[str, float], conv_rank: int = 0) -> Path:
    """Writes a LoRA for the loaded checkpoint into the host's folder.

    Args:
        strengths: standard deviation of the up factors by block; the layers of all other blocks are there, but 0.
        conv_rank: rank of convolutions; 0 = attention layers only (17 blocks).
    """
    with host.borrow_model() as lease, lease.turn() as model:
        family = model.checkpoint.family
        made = network.create(model.targets(), network.NetworkSpec(4, 4.0, conv_rank), family, seed=1)
        draw = torch.Generator().manual_seed(2)
        for layer in made.layers.values():
            strength = strengths.get(block_of(layer.name, family.arch) or "", 0.0)
            layer.up.data.normal_(0, 1, generator=draw).mul_(strength)
        state = made.state_dict(torch.float32)
    path = host.paths.loras / f"{name}.safetensors"
    file.save(path, state, {}, overwrite=True)
    return path
