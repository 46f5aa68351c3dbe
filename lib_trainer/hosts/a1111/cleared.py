"""What a generation leaves on AUTOMATIC1111's model, put away for a turn and brought back after it.

LoRAs stay merged into the weights after the picture is drawn; hypernetworks act in every attention; tiling, token
merging and Hypertile are switches on the layers. Each is looked at in every turn and touched only where it is on.
A merged LoRA is taken out for good: the host merges lazily, comparing what a layer holds with what is wanted, so
emptying the layers and giving back the list of what is wanted leaves the host's idea of its own state true.
"""
from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_MERGED_INTO = (
    torch.nn.Linear, torch.nn.Conv2d, torch.nn.GroupNorm, torch.nn.LayerNorm, torch.nn.MultiheadAttention,
)
"""Kinds of layers into which the host merges LoRAs."""


def mergeable(sd_model: Any) -> list[torch.nn.Module]:
    """Returns the layers into which the host may have merged a LoRA."""
    layers = getattr(sd_model, "network_layer_mapping", {})  # absent while the host's Lora extension is off
    return [layer for layer in layers.values() if isinstance(layer, _MERGED_INTO)]


@contextmanager
def cleared(sd_model: Any, layers: Sequence[torch.nn.Module]) -> Iterator[None]:
    """While open, the weights are the checkpoint's own and nothing but them acts.

    Args:
        sd_model: the host's model.
        layers: its `mergeable` layers.
    """
    with ExitStack() as stack:
        stack.enter_context(without_loras(layers))
        stack.enter_context(_without_hypernetworks())
        stack.enter_context(_without_token_merging(sd_model))
        stack.enter_context(_without_tiling())
        stack.enter_context(_without_hypertile(sd_model))
        yield


@contextmanager
def without_loras(layers: Sequence[torch.nn.Module]) -> Iterator[None]:
    """While open, no LoRA is merged into the layers and the host wants none; afterwards it wants those it wanted."""
    networks = sys.modules.get("networks")  # the host's Lora extension can be switched off
    if networks is None:
        yield
        return
    wanted = list(networks.loaded_networks)
    networks.loaded_networks.clear()
    try:
        with torch.no_grad():  # parameters that want a gradient may not be written in place otherwise
            for layer in layers:
                if layer.__dict__.get("network_current_names"):
                    networks.network_apply_weights(layer)
        yield
    finally:
        networks.loaded_networks[:] = wanted


@contextmanager
def _without_hypernetworks() -> Iterator[None]:
    from modules import shared

    found = shared.loaded_hypernetworks
    shared.loaded_hypernetworks = []
    try:
        yield
    finally:
        shared.loaded_hypernetworks = found


@contextmanager
def _without_token_merging(sd_model: Any) -> Iterator[None]:
    from modules import sd_models

    found = getattr(sd_model, "applied_token_merged_ratio", 0)
    if not found:
        yield
        return
    sd_models.apply_token_merging(sd_model, 0)
    try:
        yield
    finally:
        sd_models.apply_token_merging(sd_model, found)


@contextmanager
def _without_tiling() -> Iterator[None]:
    from modules.sd_hijack import model_hijack

    found = model_hijack.circular_enabled
    if not found:
        yield
        return
    model_hijack.apply_circular(False)
    try:
        yield
    finally:
        model_hijack.apply_circular(True)


@contextmanager
def _without_hypertile(sd_model: Any) -> Iterator[None]:
    acting = []
    for network in (sd_model.model, sd_model.first_stage_model):
        if getattr(network, "__webui_hypertile_layers", None):
            switches = (module.__dict__.get("__webui_hypertile_params") for module in network.modules())
            acting += [switch for switch in switches if switch is not None and switch.enabled]
    for switch in acting:
        switch.enabled = False
    try:
        yield
    finally:
        for switch in acting:
            switch.enabled = True
