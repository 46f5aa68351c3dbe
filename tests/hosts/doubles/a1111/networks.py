"""Double of AUTOMATIC1111's loaded LoRAs: merged into each layer when it next runs, and left there.

The real module patches the classes of torch; here every layer of a model gets a pre-hook (`watch`), which a test's end
takes away with the model.
"""
from __future__ import annotations

import os
from typing import Any

import network
import network_lora
import torch
from modules import shared
from modules.sd_hijack import model_hijack
from safetensors.torch import load_file

from lib_trainer.families import ldm
from lib_trainer.families.sd1 import SD1

available_networks: dict[str, network.NetworkOnDisk] = {}
available_network_aliases: dict[str, network.NetworkOnDisk] = {}
forbidden_network_aliases: dict[str, int] = {}
networks_in_memory: dict[str, network.Network] = {}
loaded_networks: list[network.Network] = []
extra_network_lora: Any = None


def list_available_networks() -> None:
    available_networks.clear()
    available_network_aliases.clear()
    for file in sorted(os.listdir(shared.cmd_opts.lora_dir)):
        name, suffix = os.path.splitext(file)
        if suffix == ".safetensors":
            entry = network.NetworkOnDisk(name, os.path.join(shared.cmd_opts.lora_dir, file))
            available_networks[name] = available_network_aliases[name] = entry


def assign_network_names_to_compvis_modules(sd_model: Any) -> None:
    found = {}
    for part in (sd_model.cond_stage_model.wrapped, sd_model.model):
        for path, module in part.named_modules():
            module.network_layer_name = path.replace(".", "_")
            module.network_current_names = ()  # the real ones come with the first LoRA; snapshots compare names
            module.network_weights_backup = None
            found[module.network_layer_name] = module
    sd_model.network_layer_mapping = found


def watch(sd_model: Any) -> None:
    """Has every layer that a LoRA can change merge what is wanted before it runs (not part of the real module)."""
    for module in sd_model.network_layer_mapping.values():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            module.register_forward_pre_hook(lambda layer, args: network_apply_weights(layer))


def load_network(name: str, network_on_disk: network.NetworkOnDisk) -> network.Network:
    net = network.Network(name, network_on_disk)
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in load_file(network_on_disk.filename).items():
        layer, _, part = key.partition(".")
        parts.setdefault(layer, {})[part] = tensor
    for layer, weights in parts.items():
        key = _compvis_key(layer)
        module = shared.sd_model.network_layer_mapping[key]
        net.modules[key] = network_lora.NetworkModuleLora(net, network.NetworkWeights(layer, key, weights, module))
    return net


def _compvis_key(layer: str) -> str:
    if layer.startswith("lora_te_"):
        return "transformer_" + layer.removeprefix("lora_te_")
    path = ldm.unet_path(layer, SD1)
    assert path is not None, layer
    return "diffusion_model_" + path.replace(".", "_")


def load_networks(
    names: list[str], te_multipliers: list[float] | None = None, unet_multipliers: list[float] | None = None,
    dyn_dims: list[int | None] | None = None,
) -> None:
    already_loaded = {net.name: net for net in loaded_networks if net.name in names}
    loaded_networks.clear()
    if any(name not in available_network_aliases for name in names):
        list_available_networks()
    for i, name in enumerate(names):
        on_disk = available_network_aliases.get(name)
        if on_disk is None:
            model_hijack.comments.append(f"Lora not found: {name}")
            continue
        net = already_loaded.get(name) or networks_in_memory.get(name)
        if net is None or os.path.getmtime(on_disk.filename) > net.mtime:
            net = networks_in_memory[name] = load_network(name, on_disk)
        net.mentioned_name = name
        net.te_multiplier = te_multipliers[i] if te_multipliers else 1.0
        net.unet_multiplier = unet_multipliers[i] if unet_multipliers else 1.0
        net.dyn_dim = dyn_dims[i] if dyn_dims else None
        loaded_networks.append(net)


def network_restore_weights_from_backup(self: Any) -> None:
    if self.network_weights_backup is not None:
        self.weight.copy_(self.network_weights_backup)


def network_apply_weights(self: Any) -> None:
    """Merges what is wanted unless it is merged already; changes the weight in place and remembers the original."""
    name = getattr(self, "network_layer_name", None)
    if name is None:
        return
    current_names = self.network_current_names
    wanted_names = tuple((x.name, x.te_multiplier, x.unet_multiplier, x.dyn_dim) for x in loaded_networks)
    if wanted_names != () and self.network_weights_backup is None:
        self.network_weights_backup = self.weight.to("cpu", copy=True)
    if current_names == wanted_names:
        return
    network_restore_weights_from_backup(self)
    for net in loaded_networks:
        module = net.modules.get(name)
        if module is not None:
            updown, _ = module.calc_updown(self.weight)
            self.weight.copy_(self.weight + updown)
    self.network_current_names = wanted_names
