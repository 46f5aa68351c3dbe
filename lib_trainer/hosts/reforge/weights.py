"""Block weights in reForge: the strength of every patch is its own.

After activation the LoRAs lie as patches in `forge_objects_after_applying_lora`, one list per parameter for all LoRAs
together: `patcher.patches[key] = [(strength, adapter, ...), ...]`, without a name. Whose patch is whose tell the
patchers themselves: the host clones once for every LoRA and every clone knows its parent, so each LoRA's patches are
those by which a list grew at its clone. The last patchers are cloned once more with new lists: a patch's strength times
the weight of its block, those at 0 left out ("set" patches, too, which know no strength). No tensor is touched.

reForge merges again when `patches_uuid` is another one; ours is made of the host's and the numbers, so it changes
exactly when they do. The host's own objects are put back afterwards: its next activation of the same LoRAs finds what
it left.
"""
from __future__ import annotations

import ast
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from lib_trainer.blocks.multipliers import ratio
from lib_trainer.blocks.resolve import Weights
from lib_trainer.hosts.webui import lora_files
from lib_trainer.hosts.webui.backend import Weighted
from lib_trainer.hosts.webui.layer_keys import layer_of
from lib_trainer.hosts.webui.strength import changes

_NOTHING_APPLIED = ""
"""An idea of the applied LoRAs that equals none of the host's, so its next activation starts anew."""

_UNKNOWN = ("Block weights have no effect: another extension has changed the LoRAs of this picture, and whose layers "
            "are whose cannot be told.")


@dataclass(frozen=True)
class _Part:
    """Patches of one LoRA in one patcher.

    Attributes:
        weights: its block weights; None = as the host applies it.
        first, after: how many patches every parameter had before and after it; absent = none.
    """

    weights: Weights | None
    first: Mapping[str, Sequence[Any]]
    after: Mapping[str, Sequence[Any]]

    def span(self, key: str) -> slice:
        """Returns the places of its patches in a parameter's list."""
        return slice(len(self.first.get(key, ())), len(self.after.get(key, ())))

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the LoRA fits the network."""
        return all(len(patches) == len(self.first.get(key, ())) for key, patches in self.after.items())


class AppliedPatches:
    """The patches of a generation, and the host's own objects that they stand for."""

    def __init__(self) -> None:
        # Weak: a model that the host unloads must not be kept in memory by what was once drawn with it.
        self._stock: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._switched: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def weigh(self, model: Any, loras: Sequence[Weighted], arch: str) -> list[str]:
        """Gives the LoRAs of the prompt their block weights.

        Args:
            model: the host's model, for which it has just activated the LoRAs.
            loras: in the order in which the host got them.
            arch: block layout of the loaded checkpoint.

        Returns:
            sentences for the picture's comments.
        """
        stock, original = model.forge_objects_after_applying_lora, model.forge_objects_original
        weights = {lora.position: lora.weights for lora in loras}
        applied = _applied(model)
        unet = _parts(original.unet, stock.unet, applied, weights)
        clip = _parts(original.clip.patcher, stock.clip.patcher, applied, weights)
        if unet is None or clip is None:
            return [_UNKNOWN] if any(map(changes, weights.values())) else []
        if any(map(changes, weights.values())):
            self._apply(model, unet, clip, arch)
        idle = [weights[place].name for place, parts in zip(applied, zip(unet, clip, strict=True), strict=True)
                if place in weights and all(part.is_empty for part in parts)]
        return [lora_files.without_effect(name) for name in dict.fromkeys(idle)]

    def _apply(self, model: Any, unet: Sequence[_Part], clip: Sequence[_Part], arch: str) -> None:
        stock = model.forge_objects_after_applying_lora
        self._stock[model] = stock
        weighted = stock.shallow_copy()
        weighted.unet = stock.unet.clone()
        weighted.unet.patches, weighted.unet.patches_uuid = _dealt(stock.unet, unet, arch)
        weighted.clip = stock.clip.clone()
        patcher = weighted.clip.patcher
        patcher.patches, patcher.patches_uuid = _dealt(stock.clip.patcher, clip, arch)
        _use(model, weighted)

    def switch(self, model: Any, loras: Sequence[Weighted], arch: str) -> None:
        """Gives the U-Net that draws other patches in the middle of a picture, and has the host merge them.

        It is the patcher as it is now, which another extension may have cloned from ours and may still need.
        """
        stock = self._stock.get(model, model.forge_objects_after_applying_lora).unet
        parts = _parts(model.forge_objects_original.unet, stock, _applied(model),
                       {lora.position: lora.weights for lora in loras})
        if parts is None:
            return
        unet = model.forge_objects.unet
        self._switched.setdefault(unet, (unet.patches, unet.patches_uuid))
        unet.patches, unet.patches_uuid = _dealt(stock, parts, arch)
        unet.partially_load(unet.load_device)

    def put_back(self) -> None:
        """Puts the host's own objects back into every model that is still in memory."""
        for unet, (patches, identity) in list(self._switched.items()):
            unet.patches, unet.patches_uuid = patches, identity
        self._switched.clear()
        for model, stock in list(self._stock.items()):
            if model.forge_objects_after_applying_lora is not None:  # None: the host has torn the model down
                _use(model, stock)
        self._stock.clear()


def _applied(model: Any) -> list[int]:
    """Returns the places of the LoRAs for which the host has cloned its patchers."""
    return [place for place, (_, unet, te) in enumerate(ast.literal_eval(model.current_lora_hash)) if unet or te]


def _use(model: Any, objects: Any) -> None:
    """Draws with these objects from now on; the hires pass encodes its prompt with `forge_objects` as they are."""
    model.forge_objects_after_applying_lora = objects
    model.forge_objects.unet = objects.unet
    model.forge_objects.clip = objects.clip


def _parts(
    original: Any, last: Any, applied: Sequence[int], weights: Mapping[int, Weights]
) -> list[_Part] | None:
    """Tells the LoRAs of a patcher apart.

    Args:
        original: the patcher without LoRAs. last: the one with all of them.
        applied: places of the LoRAs that the host has cloned for, in their order.
        weights: block weights by place.

    Returns:
        one part for every LoRA applied; None when somebody else has cloned in between.
    """
    line = [last]
    while line[-1] is not original:
        parent = line[-1].parent
        if parent is None or len(line) > len(applied):
            return None
        line.append(parent)
    line.reverse()
    if len(line) != len(applied) + 1:
        return None
    return [_Part(weights.get(place), before.patches, after.patches)
            for place, before, after in zip(applied, line, line[1:], strict=False)]


def _dealt(patcher: Any, parts: Sequence[_Part], arch: str) -> tuple[dict[str, list[tuple[Any, ...]]], uuid.UUID]:
    """Returns a patcher's patches with the LoRAs' weights, and an identity that stands for their numbers."""
    digest = hashlib.sha256()
    dealt: dict[str, list[tuple[Any, ...]]] = {}
    for key, patches in patcher.patches.items():
        dealt[key] = []
        for part in parts:
            factor = 1.0 if part.weights is None else ratio(part.weights, layer_of(key), arch)
            dealt[key] += [(patch[0] * factor, *patch[1:]) for patch in patches[part.span(key)]]
        # Those at 0 count, too: else one LoRA alone and another one alone would be the same.
        digest.update(f"{key}{[patch[0] for patch in dealt[key]]}".encode())
        dealt[key] = [patch for patch in dealt[key] if patch[0]]
    numbers = uuid.uuid5(patcher.patches_uuid, digest.hexdigest())
    return {key: patches for key, patches in dealt.items() if patches}, numbers


def forget_lora(path: Path) -> None:
    """Drops what reForge remembers of a LoRA file: its tensors, that it is applied, and text states made with it."""
    import networks
    from modules import sd_models

    from lib_trainer.hosts.webui.untouched import forget_prompts

    networks.load_lora_state_dict.cache_clear()
    for model in sd_models.model_data.loaded_sd_models:
        if path.name in model.current_lora_hash:
            model.current_lora_hash = _NOTHING_APPLIED
    forget_prompts()
