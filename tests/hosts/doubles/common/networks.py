"""Double of the built-in LoRA extension's list of files."""
from __future__ import annotations

import os
from types import SimpleNamespace

from modules import shared

available_networks: dict[str, SimpleNamespace] = {}


def list_available_networks() -> None:
    available_networks.clear()
    for folder, _, files in os.walk(shared.cmd_opts.lora_dir):
        for file in files:
            name, suffix = os.path.splitext(file)
            if suffix == ".safetensors":
                available_networks[name] = SimpleNamespace(name=name, filename=os.path.join(folder, file))
