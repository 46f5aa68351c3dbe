"""Networks out of files, of every kind, ready to act on a model.

A layer that is plain LoRA (LoCon and Tucker's mid included) becomes a `LoraLayer`, the fastest form there is; any
other kind, and a LoRA layer that carries a bias or a DoRA length, becomes a `ChangeLayer`.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.host_model import Target
from lib_trainer.lora import keys, layers
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.attach import Attachable
from lib_trainer.lora.changes import ChangeLayer
from lib_trainer.lora.layers import LoraLayer


class LoadedNetwork(Attachable[LoraLayer | ChangeLayer]):
    """A network of a file, to be used and not trained."""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> LoadedNetwork:
        """Moves the thin matrices; the other kinds follow the model's weights by themselves."""
        for layer in self.layers.values():
            if isinstance(layer, LoraLayer):
                layer.to(device=device, dtype=dtype)
        return self

    def forget(self) -> None:
        """Drops what was worked out for the model, and with it the memory."""
        for layer in self._changing():
            layer.forget()

    @property
    def workings_out(self) -> int:
        """How often the change of a weight has been worked out, over all layers."""
        return sum(layer.workings_out for layer in self._changing())

    @property
    def bytes_kept(self) -> int:
        """Memory of what was worked out, beside the file's own tensors."""
        return sum(layer.bytes_kept for layer in self._changing())

    def _changing(self) -> list[ChangeLayer]:
        return [layer for layer in self.layers.values() if isinstance(layer, ChangeLayer)]


def from_state(targets: Sequence[Target], state: Mapping[str, Tensor]) -> tuple[LoadedNetwork, list[str]]:
    """Makes a network from a file's tensors.

    Args:
        targets: every layer the model offers, the norms and what is outside the blocks included.
        state: tensors under kohya's names, of any kind that `algorithms.registry` knows.

    Returns:
        The network, without gradients, and the tensor names that have no effect: the model has no such layer, or
        nobody knows what the tensor means.

    Raises:
        UserError: the factors do not fit, a layer is half there, or no layer fits.
    """
    grouped = {keys.canonical(layer): (layer, parts) for layer, parts in keys.by_layer(state).items()}
    members: list[LoraLayer | ChangeLayer] = []
    unmatched: list[str] = []
    for target in targets:
        if target.name in grouped and registry.acts(grouped[target.name][1]):
            layer, parts = grouped.pop(target.name)
            members.append(_layer(target, parts))
            unmatched += [f"{layer}.{part}" for part in registry.unknown(parts)]
    unmatched += [f"{layer}.{part}" for layer, parts in grouped.values() for part in parts]
    if not members:
        raise UserError(keys.no_layer_fits(keys.by_layer(state)))
    return LoadedNetwork(members), unmatched


def _layer(target: Target, parts: Mapping[str, Tensor]) -> LoraLayer | ChangeLayer:
    algorithm = registry.find(parts)
    carries_more = registry.EVERYWHERE.intersection(parts) - set(keys.LORA_PARTS)
    if carries_more or (algorithm is not None and algorithm.name != keys.LORA_ALGORITHMS[0]):
        return ChangeLayer(target, parts)
    return layers.from_parts(target, parts).requires_grad_(False)
