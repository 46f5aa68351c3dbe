"""Where the layers that a LoRA can change are in a checkpoint's file: kohya's layer name -> tensor names.

The names come from `families.ldm`, read off the checkpoint's own tensors, so there is one table for both directions:
whoever changes tensors asks by name of a tensor, whoever needs a weight by name of a layer. Query, key and value of
OpenCLIP's attention are the thirds of one tensor. Standard library only.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL

if TYPE_CHECKING:
    from torch import Tensor

FAMILIES = {family.name: family for family in (SD1, SD2, SDXL)}

UNET = "model.diffusion_model."
_HF, _OPEN_CLIP = ldm.HF, ldm.OPEN_CLIP
TEXT: dict[str, tuple[tuple[str, str, str], ...]] = {
    "sd1": (("lora_te", _HF, "cond_stage_model.transformer."),),
    "sd2": (("lora_te", _OPEN_CLIP, "cond_stage_model.model."),),
    "sdxl": (("lora_te1", _HF, "conditioner.embedders.0.transformer."),
             ("lora_te2", _OPEN_CLIP, "conditioner.embedders.1.model.")),
}
"""Family -> (kohya prefix, build, where it is in the file) of each text encoder."""

_ENDINGS = (
    (".in_proj_weight", "weight"), (".in_proj_bias", "bias"), (".weight", "weight"), (".bias", "bias"),
)
_PROJECTION = "text_projection"
"""OpenCLIP's projection of the pooled text, a bare tensor that stands to the right of what it multiplies."""

_OLD_TEXT = ("encoder.", "final_layer_norm.")
"""Beginnings below an HF encoder in files that leave out `text_model.`."""


@dataclass(frozen=True)
class Place:
    """Where a layer's weight or bias is.

    Attributes:
        key: tensor name. third: 0, 1 or 2 where the layer is that third of the rows; None = all of them.
        transposed: whether the file has it the other way about, (inputs, outputs).
    """

    key: str
    third: int | None = None
    transposed: bool = False

    def of(self, tensor: Tensor) -> Tensor:
        """Returns the layer's own part of the tensor, a view, as the layer has it: (outputs, inputs ...)."""
        if self.transposed:
            return tensor.T
        rows = tensor.shape[0] // 3
        return tensor if self.third is None else tensor[self.third * rows:(self.third + 1) * rows]


@dataclass(frozen=True)
class Layer:
    """A layer that is in the file: its weight, and its bias where it has one."""

    weight: Place
    bias: Place | None = None


def family_faults(family: str) -> list[str]:
    """Returns why no files can be taken for those of a family; nothing where they can, or where none is named ("")."""
    if family in ("", *FAMILIES):
        return []
    return [f"The family '{family}' is none of {', '.join(FAMILIES)}. Choose one of them."]


def family_of(names: Iterable[str], where: object) -> Family:
    """Returns the family of a checkpoint by its tensor names.

    Args:
        names: tensor names. where: the file, for the sentence.

    Raises:
        UserError: it is no SD 1.x, SD 2.x or SDXL checkpoint in the original layout.
    """
    there = list(names)
    for family in (SDXL, SD2, SD1):
        roots = [root for _, _, root in TEXT[family.name]]
        if any(name.startswith(UNET) for name in there) and all(
                any(name.startswith(root) for name in there) for root in roots):
            return family
    raise UserError(f"'{where}' is no SD 1.x, SD 2.x or SDXL checkpoint with its U-Net and text encoders (its "
                    f"{len(there)} tensors begin with '{min(there, default='')}'). Give a whole checkpoint in the "
                    "original layout, as WebUIs load it.")


def layers(names: Iterable[str], family: Family) -> dict[str, Layer]:
    """Returns the layers of a checkpoint by kohya name, in the order of its tensors; norms included."""
    weights: dict[str, Place] = {}
    biases: dict[str, Place] = {}
    for key in names:
        for layer in _projection(key, family):
            weights[layer] = Place(key, transposed=True)
        for ending, kind in _ENDINGS:
            if key.endswith(ending):
                found = _named(key[:-len(ending)], family)
                (weights if kind == "weight" else biases).update(
                    {layer: Place(key, third) for layer, third in found.items()})
                break
    return {layer: Layer(place, biases.get(layer)) for layer, place in weights.items()}


def find(known: Mapping[str, Layer], layer: str, family: Family) -> Layer | None:
    """Returns where a layer is, None where the checkpoint has none of this name.

    Args:
        known: of `layers`. layer: kohya's name; the U-Net's in diffusers' or the original spelling.
        family: the checkpoint's.
    """
    if layer in known:
        return known[layer]
    path = ldm.unet_path(layer, family)
    usual = ldm.unet_layer(path, family) if path else None
    return known.get(usual) if usual else None


def _projection(key: str, family: Family) -> list[str]:
    """Returns the layer's name when a tensor is the projection of an OpenCLIP encoder that pools."""
    return [f"{prefix}_{_PROJECTION}" for prefix, build, root in TEXT[family.name]
            if family.has_size_ids and build == _OPEN_CLIP and key == root + _PROJECTION]


def _named(module: str, family: Family) -> dict[str, int | None]:
    """Returns the layers in a module of the file, each with its third."""
    if module.startswith(UNET):
        layer = ldm.unet_layer(module[len(UNET):], family)
        return {layer: None} if layer else {}
    for prefix, build, root in TEXT[family.name]:
        if module.startswith(root):
            path = module[len(root):]
            if build == _HF and f"{path}.".startswith(_OLD_TEXT):
                path = f"text_model.{path}"
            norm = ldm.text_norm(path, prefix)
            return {norm: None} if norm else {
                layer: place.third for layer, place in ldm.text_layers(path, prefix).items()}
    return {}
