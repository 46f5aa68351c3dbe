"""A LoRA file was written anew under a name that AUTOMATIC1111 has used: what it remembers of the old one goes.

The host reads a file again when it is newer, but three things tell networks apart by name and strength only: the
weights into which the old one is merged, and the text states of the last prompts, kept for the next generation.
"""
from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from lib_trainer.hosts.a1111.cleared import without_loras
from lib_trainer.hosts.webui import lora_files, untouched


def forget(path: Path, layers: Sequence[torch.nn.Module]) -> None:
    """Drops a LoRA file.

    Args:
        path: the file.
        layers: those into which the host may have merged it.
    """
    networks = sys.modules.get("networks")  # the host's Lora extension can be switched off
    if networks is None:
        return
    with without_loras(layers):
        pass  # what is still wanted is merged again when it is next needed
    file = path.resolve()
    for name, network in list(networks.networks_in_memory.items()):
        if lora_files.path_of(network).resolve() == file:
            del networks.networks_in_memory[name]
    networks.loaded_networks[:] = [
        network for network in networks.loaded_networks if lora_files.path_of(network).resolve() != file
    ]
    untouched.forget_prompts()
