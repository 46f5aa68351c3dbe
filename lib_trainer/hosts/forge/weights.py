"""Block weights in Forge: the strength of every patch is its own.

After activation the LoRAs lie as patches in `forge_objects_after_applying_lora`, a dictionary of
(file, strength, ...) -> parameter -> [[strength, patch, ...], ...] in the U-Net's and the text encoder's patcher. The
merge happens later, when the model is used, and compares only the dictionary's keys. So the patchers are cloned, a
weighted LoRA's patches get strengths by the block of their parameter (those at 0 are left out, "set" patches too, which
know no strength), and the key carries a digest of the weights. No tensor is touched. LoRAs are told apart by their
file, so one without a part for the text encoder shifts nothing. The host's own objects are put back afterwards: its
next activation of the same LoRAs finds what it left, and what is merged stays merged as long as the keys are the same.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from lib_trainer.blocks.multipliers import ratio
from lib_trainer.blocks.resolve import Weights
from lib_trainer.hosts.webui import lora_files
from lib_trainer.hosts.webui.backend import Weighted
from lib_trainer.hosts.webui.layer_keys import layer_of
from lib_trainer.hosts.webui.strength import Strength, changes

Patches = Mapping[str, Sequence[Sequence[Any]]]
"""Patches of one LoRA by parameter: each [strength, patch, strength of the model's own weight, offset, function]."""


class AppliedPatches:
    """The patches of a generation, and the host's own objects that they stand for."""

    def __init__(self) -> None:
        # Weak: a model that the host unloads must not be kept in memory by what was once drawn with it.
        self._stock: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._switched: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def weigh(self, model: Any, loras: Sequence[Weighted], arch: str) -> list[str]:
        """Gives the LoRAs of the prompt their block weights.

        Args:
            model: the host's diffusion engine, which has just activated the LoRAs.
            loras: in the order in which the host got them.
            arch: block layout of the loaded checkpoint.

        Returns:
            sentences for the picture's comments.
        """
        by_file = _by_file(loras)
        own = {path: tags for path, tags in by_file.items() if len(tags) > 1 or changes(tags[0].weights)}
        stock = model.forge_objects_after_applying_lora
        present = {str(key[0]) for key in (*stock.unet.lora_patches, *stock.clip.patcher.lora_patches)}
        if own:
            self._apply(model, own, arch)
        idle = {tag.weights.name: None for path, tags in by_file.items() if path not in present for tag in tags}
        return [lora_files.without_effect(name) for name in idle]

    def _apply(self, model: Any, own: Mapping[str, Sequence[Weighted]], arch: str) -> None:
        stock = model.forge_objects_after_applying_lora
        self._stock[model] = stock
        applied = stock.shallow_copy()
        applied.unet = stock.unet.clone()
        applied.unet.lora_patches = dealt(stock.unet.lora_patches, own, arch, of_unet)
        applied.clip = stock.clip.clone()
        applied.clip.patcher.lora_patches = dealt(stock.clip.patcher.lora_patches, own, arch, of_text_encoder)
        _use(model, applied)

    def switch(self, model: Any, loras: Sequence[Weighted], arch: str) -> None:
        """Gives the U-Net that draws other patches in the middle of a picture, and has the host merge them.

        It is the patcher as it is now, which another extension may have cloned from ours and may still need.
        """
        stock = self._stock.get(model, model.forge_objects_after_applying_lora)
        unet = model.forge_objects.unet
        found = self._switched.setdefault(unet, unet.lora_patches)
        own = _by_file(loras)
        others = {key: patches for key, patches in found.items() if str(key[0]) not in own}
        unet.lora_patches = {**others, **dealt(_of_files(stock.unet.lora_patches, own), own, arch, of_unet)}
        if unet.has_online_lora():
            _to_device_of(unet)
        unet.refresh_loras()

    def put_back(self) -> None:
        """Puts the host's own objects back into every model that is still in memory."""
        for unet, patches in list(self._switched.items()):
            unet.lora_patches = patches
        self._switched.clear()
        for model, stock in list(self._stock.items()):
            _use(model, stock)
        self._stock.clear()


def _by_file(loras: Sequence[Weighted]) -> dict[str, list[Weighted]]:
    """Returns the LoRAs of a prompt by the file that the host has loaded for them."""
    import networks

    places = lora_files.matched([lora.weights.name for lora in loras], networks.loaded_networks)
    by_file: dict[str, list[Weighted]] = {}
    for lora in loras:
        if lora.position in places:
            path = str(lora_files.path_of(networks.loaded_networks[places[lora.position]]))
            by_file.setdefault(path, []).append(lora)
    return by_file


def _of_files(
    patches: Mapping[tuple[Any, ...], Patches], files: Mapping[str, Sequence[Weighted]]
) -> dict[tuple[Any, ...], Patches]:
    return {key: value for key, value in patches.items() if str(key[0]) in files}


def _to_device_of(unet: Any) -> None:
    """Moves patches that are applied while drawing to where the host draws, as it does before a picture."""
    from backend import utils

    utils.nested_move_to_device(unet.lora_patches, device=unet.current_device, dtype=unet.model.computation_dtype)


def _use(model: Any, objects: Any) -> None:
    """Draws with these objects from now on; the hires pass encodes its prompt with `forge_objects` as they are."""
    model.forge_objects_after_applying_lora = objects
    model.forge_objects.unet = objects.unet
    model.forge_objects.clip = objects.clip


def of_unet(weights: Weights) -> float:
    """The strength that acts in the U-Net."""
    return weights.unet


def of_text_encoder(weights: Weights) -> float:
    """The strength that acts in the text encoders."""
    return weights.te


def dealt(
    stock: Mapping[tuple[Any, ...], Patches], own: Mapping[str, Sequence[Weighted]], arch: str,
    strength: Callable[[Weights], float],
) -> dict[tuple[Any, ...], Patches]:
    """Returns the patches of a patcher with the weighted LoRAs' strengths by block.

    Args:
        stock: the patches as the host has made them, by (file, strength, strength of the model's weight, online).
        own: the tags that need patches of their own, by file.
        arch: block layout.
        strength: which of a tag's strengths acts here.
    """
    result: dict[tuple[Any, ...], Patches] = {}
    done: set[str] = set()
    for key, patches in stock.items():
        path = str(key[0])
        if path not in own:
            result[key] = patches
        elif path not in done:
            done.add(path)
            for tag in own[path]:
                marked = Strength(strength(tag.weights), f"{tag.weights.digest}#{tag.position}")
                own_key = (key[0], marked, *key[2:])
                result[own_key] = _scaled(patches, tag.weights, float(marked), arch)
    return result


def _scaled(patches: Patches, weights: Weights, strength: float, arch: str) -> Patches:
    scaled = {}
    for parameter, entries in patches.items():
        factor = strength * ratio(weights, layer_of(parameter), arch)
        if factor:
            scaled[parameter] = [[factor, *entry[1:]] for entry in entries]
    return scaled


def forget_lora(path: Path) -> None:
    """Makes the host use a LoRA file as it is now, wherever it kept what the file was before.

    It keeps the tensors of the last files by name, what it activated last, what is merged, and text states.

    Args:
        path: the file that was written; what the host keeps does not tell files apart well enough to drop less.
    """
    import networks
    from modules import processing, sd_models

    networks.load_lora_state_dict.cache_clear()
    model = sd_models.model_data.sd_model
    objects = getattr(model, "forge_objects_original", None)  # none before the first checkpoint is loaded
    if objects is not None:
        model.current_lora_hash = None
        for patcher in (objects.unet, objects.clip.patcher):
            patcher.lora_loader.loaded_hash = f"changed: {path}"
    for kind, name in (
        (processing.StableDiffusionProcessing, "cached_c"), (processing.StableDiffusionProcessing, "cached_uc"),
        (processing.StableDiffusionProcessingTxt2Img, "cached_hr_c"),
        (processing.StableDiffusionProcessingTxt2Img, "cached_hr_uc"),
    ):
        cache = getattr(kind, name)
        cache[:] = [None] * len(cache)
