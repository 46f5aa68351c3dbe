"""Block weights in AUTOMATIC1111: every module of a loaded network answers with its own multiplier.

The host keeps the prompt's LoRAs in `networks.loaded_networks` and merges them layer by layer, each module's change
times `module.multiplier()`, whatever the kind of network (LoRA, LoHa, LoKr, DoRA, norms, biases, ...). So a weighted
LoRA is put into that list as a shallow copy whose modules are shallow copies with a multiplier of their own: tensors
are shared and never edited, and a module at 0 is left out. The host compares name and strengths of the LoRAs to see
whether what it merged is still right; the copy's strengths carry a digest of its weights, so it sees a change exactly
when there is one. The originals are put back afterwards, so the host finds them loaded and reads no file again.
"""
from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from lib_trainer.blocks.multipliers import ratio
from lib_trainer.blocks.resolve import Weights
from lib_trainer.hosts.webui import lora_files
from lib_trainer.hosts.webui.backend import Weighted
from lib_trainer.hosts.webui.strength import Strength, changes


class LoadedNetworks:
    """The weighted networks of a generation, and the host's own that they stand for."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Any, Any]] = []

    def weigh(self, loras: Sequence[Weighted], arch: str) -> list[str]:
        """Puts weighted copies in the place of the networks that need them.

        Args:
            loras: the LoRAs of the prompt in the order in which the host got them.
            arch: block layout of the loaded checkpoint.

        Returns:
            sentences for the picture's comments.
        """
        import networks

        loaded = networks.loaded_networks
        places = lora_files.matched([lora.weights.name for lora in loras], loaded)
        counts = Counter(id(loaded[place]) for place in places.values())
        sentences = []
        for lora in loras:
            place = places.get(lora.position)
            if place is None:
                continue
            original = loaded[place]
            if not original.modules:
                sentences.append(lora_files.without_effect(lora.weights.name))
            # The host gives both tags of a LoRA named twice one object, on which the last strengths act.
            if counts[id(original)] > 1 or changes(lora.weights):
                loaded[place] = weighted_copy(original, lora.weights, arch)
                self._pairs.append((loaded[place], original))
        return sentences

    def put_back(self) -> None:
        """Puts the originals back where the weighted copies still are."""
        if not self._pairs:
            return
        import networks

        originals = {id(weighted): original for weighted, original in self._pairs}
        networks.loaded_networks[:] = [originals.get(id(one), one) for one in networks.loaded_networks]
        self._pairs.clear()


def weighted_copy(network: Any, weights: Weights, arch: str) -> Any:
    """Returns a shallow copy of the host's network that acts with block weights."""
    weighted = copy.copy(network)
    if weights.label:
        weighted.name = f"{network.name} [{weights.label}]"
    weighted.te_multiplier = Strength(weights.te, weights.digest)
    weighted.unet_multiplier = Strength(weights.unet, weights.digest)
    weighted.modules = {}
    for key, module in network.modules.items():
        own = copy.copy(module)
        own.network = weighted
        factor = float(own.multiplier()) * ratio(weights, key, arch)
        if factor:
            own.multiplier = _answer(factor)
            weighted.modules[key] = own
    return weighted


def _answer(factor: float) -> Callable[[], float]:
    return lambda: factor
