"""What the tensor names of a LoRA file tell: layers, the algorithm, the model family. Standard library only.

A file's tensors are called `<layer>.<part>`, where the part names the algorithm's factor: `lora_down.weight` is LoRA,
`hada_w1_a` LoHa, `lokr_w1` LoKr (LyCORIS). The family is read from the metadata and, where those are silent, from the
layer names and the width of the text states that cross attention reads.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

ALPHA = "alpha"
DOWN, UP, MID = "lora_down.weight", "lora_up.weight", "lora_mid.weight"
LORA_PARTS = (ALPHA, DOWN, UP, MID)

LORA_ALGORITHMS = ("lora", "locon")
"""Algorithms whose factors are down and up: LoRA (LierLa) and LoCon (C3Lier, with or without Tucker's mid)."""

_MARKS = (
    ("dora_scale", "dora"),
    ("hada_", "loha"),
    ("lokr_", "lokr"),
    ("oft_", "oft"),
    ("a1.weight", "glora"),
    ("on_input", "ia3"),
)
"""Beginning of a part -> algorithm; one that is found decides, even beside LoRA's own factors."""

_EXTRAS = (("diff", "full"), ("w_norm", "norm"))
"""Likewise, but files carry these beside LoRA's factors too; they name the algorithm only when they are alone."""

_OTHER_PREFIXES = ("oft_", "lycoris_")

_FAMILY_BY_METADATA = (
    ("stable-diffusion-xl", "sdxl"), ("sdxl", "sdxl"),
    ("stable-diffusion-v2", "sd2"), ("sd_v2", "sd2"),
    ("stable-diffusion-v1", "sd1"), ("sd_v1", "sd1"),
)
_FAMILY_BY_CONTEXT = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_CONTEXT_LAYER = re.compile(r"^lora_unet_.*attn2_to_[kv]$")
_OF_INPUTS = (DOWN, "hada_w1_b", "diff", "a2.weight")
"""Factors whose second side is the layer's inputs."""

_KRONECKER = (("lokr_w1", "lokr_w1_b"), ("lokr_w2", "lokr_w2_b"))
"""Factors whose second sides, multiplied, are the layer's inputs."""

_RESIDUAL_LAYER = re.compile(
    r"resnets|samplers|conv_in|conv_out|time_embed|in_layers|out_layers|emb_layers|skip_connection|_op$|_conv$"
)
ARCH_BY_FAMILY = {"sd1": "sd15", "sd2": "sd15", "sdxl": "sdxl"}
"""The block layout that each family uses."""


def split(tensor: str) -> tuple[str, str]:
    """Returns (layer, part) of a tensor name: the part is everything after the first dot."""
    layer, _, part = tensor.partition(".")
    return layer, part


def canonical(layer: str) -> str:
    """Returns a layer's name under kohya's usual prefix: sd-scripts' OFT and LyCORIS have prefixes of their own."""
    for prefix in _OTHER_PREFIXES:
        if layer.startswith(prefix):
            return "lora_" + layer[len(prefix):]
    return layer


def no_layer_fits(layers: Iterable[str]) -> str:
    """Returns the sentence for a file none of whose layers, by the file's own names, the loaded model has."""
    names = sorted(layers)
    if names and not any(name.startswith(("lora_", *_OTHER_PREFIXES)) for name in names):
        return (f"The LoRA's tensors have the names of another program (such as '{names[0]}...'). Convert it to "
                "kohya's names: in the LoRA Workbench, or with 'lora convert FILE --naming kohya --out NAME'.")
    return (f"None of the LoRA's {len(names)} layers (such as '{names[0] if names else ''}') exists in the loaded "
            "model: it was made for another kind of model. Load a checkpoint of its family, or choose another LoRA.")


def by_layer(state: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """Returns values grouped as {layer: {part: value}}, in the order of the state."""
    grouped: dict[str, dict[str, T]] = {}
    for tensor, value in state.items():
        layer, part = split(tensor)
        grouped.setdefault(layer, {})[part] = value
    return grouped


def algorithm(tensors: Iterable[str]) -> str:
    """Returns the algorithm of a file by its tensor names: "lora", "locon", "loha", "lokr", ... or "unknown"."""
    names = [split(tensor) for tensor in tensors]
    parts = {part for _, part in names}
    is_lora = DOWN in parts and UP in parts
    for mark, found in _MARKS if is_lora else _MARKS + _EXTRAS:
        if any(part.startswith(mark) for part in parts):
            return found
    if not is_lora:
        return "unknown"
    return "locon" if any(_RESIDUAL_LAYER.search(layer) for layer, part in names if part == DOWN) else "lora"


def rank(parts: Mapping[str, Mapping[str, Any]]) -> int | None:
    """Returns a layer's rank from its factors' header entries, or None where the algorithm has none."""
    for part in (DOWN, "hada_w1_b", "lokr_w1_b", "lokr_w2_b", "a2.weight"):
        if part in parts:
            return int(parts[part]["shape"][0])
    return None


def family(shapes: Mapping[str, Sequence[int]], metadata: Mapping[str, str]) -> str | None:
    """Returns "sd1", "sd2" or "sdxl", or None where nothing tells.

    Args:
        shapes: tensor name -> shape.
        metadata: the file's metadata.
    """
    for field in ("modelspec.architecture", "ss_base_model_version"):
        for beginning, found in _FAMILY_BY_METADATA:
            if metadata.get(field, "").startswith(beginning):
                return found
    layers = by_layer(shapes)
    for layer, parts in layers.items():
        if _CONTEXT_LAYER.match(canonical(layer)) and (width := _inputs(parts)) in _FAMILY_BY_CONTEXT:
            return _FAMILY_BY_CONTEXT[width]
    # After the widths: diffusers calls the one encoder of SD 1.x "te1" as well when it writes kohya's names.
    return "sdxl" if any(layer.startswith(("lora_te1_", "lora_te2_")) for layer in layers) else None


def _inputs(parts: Mapping[str, Sequence[int]]) -> int:
    """Returns how many inputs a matrix layer has, by its factors' shapes; 0 where they do not tell."""
    for part in _OF_INPUTS:
        if part in parts and len(parts[part]) > 1:
            return parts[part][1]
    first, second = (next((parts[part] for part in names if part in parts), ()) for names in _KRONECKER)
    return first[1] * second[1] if len(first) > 1 and len(second) > 1 else 0
