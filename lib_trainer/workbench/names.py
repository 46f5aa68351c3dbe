"""What programs call a tensor of a LoRA, and kohya's name of it.

A name is a place in the model and a part of the layer's change. sd-scripts joins the place with underscores
("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight"), diffusers and PEFT keep the dots
("unet.down_blocks.0.attentions.0.proj_in.lora_A.weight"), and so do files that follow the original checkpoint
("diffusion_model.input_blocks.1.1.proj_in.lora_down.weight"). Which U-Net a dotted place belongs to tells its family;
`families.ldm` knows both ways of numbering its blocks. Standard library only.
"""
from __future__ import annotations

import re
from dataclasses import dataclass

from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.lora import keys

FAMILIES = {family.name: family for family in (SD1, SD2, SDXL)}

KOHYA, KOHYA_LDM, KOHYA_DIFFUSERS = "kohya", "kohya-ldm", "kohya-diffusers"
PEFT, DIFFUSERS, LDM = "peft", "diffusers", "ldm"
UNET, TEXT, TEXT_2 = "unet", "text_encoder", "text_encoder_2"

MAGNITUDE = "lora_magnitude_vector"
"""PEFT's name of DoRA's lengths."""

_KOHYA = re.compile(r"(?:lora|lycoris|oft)_[^.]+")
_WRAPPED = "base_model.model."
"""What PEFT puts before a module's own path."""

_ROOTS = (
    ("text_encoders.clip_l.transformer.", TEXT), ("text_encoders.clip_h.transformer.", TEXT),
    ("text_encoders.clip_g.transformer.", TEXT_2), ("text_encoder_2.", TEXT_2), ("text_encoder.", TEXT),
    ("cond_stage_model.transformer.", TEXT), ("conditioner.embedders.0.transformer.", TEXT),
    ("model.diffusion_model.", UNET), ("diffusion_model.", UNET), ("unet.", UNET),
)
_BARE = (
    (re.compile(r"(?:down_blocks|up_blocks|input_blocks|output_blocks)\.\d|mid_block\.|middle_block\.|conv_in|conv_out|"
                r"time_embed|add_embedding|label_emb|out\."), UNET),
    (re.compile(r"text_model\.|text_projection"), TEXT),
)
"""Places without a network's name before them: diffusers' first LoRA files had the U-Net's alone."""

_PARTS = (
    (re.compile(r"(.+)\.lora_(A|B)(?:\.(?!weight$)[^.]+)?\.weight"), PEFT),
    (re.compile(r"(.+?)(?:[._]lora|\.lora_linear_layer)\.(down|up)\.weight"), DIFFUSERS),
    (re.compile(rf"(.+)\.({MAGNITUDE})(?:\.[^.]+)*"), PEFT),
    (re.compile(r"(.+?)\.((?:lora_(?:down|up|mid)|a1|a2|b1|b2|bm)\.weight|alpha|scale|dora_scale|hada_\w+|lokr_\w+|"
                r"oft_\w+|rescale|on_input|diff|diff_b|w_norm|b_norm|bias|bias_\w+|weight)"), LDM),
)
"""A dotted name -> (place, part), and who writes it so. LDM stands for kohya's parts behind dots."""

_TO_KOHYA = {"A": keys.DOWN, "B": keys.UP, "down": keys.DOWN, "up": keys.UP, MAGNITUDE: "dora_scale"}
_OLD_ATTENTION = re.compile(r"\.to_(q|k|v|out)$")
_TEXT_NAME = re.compile(
    r"text_model_encoder_layers_(\d+)_(?:(self_attn|mlp)_((?:q|k|v|out)_proj|fc[12])|(layer_norm[12]))|"
    r"text_model_(final_layer_norm)|text_model_embeddings_((?:token|position)_embedding)|(text_projection)"
)
_TEXT_PREFIX = re.compile(r"lora_te(1|2)?_(.+)")


@dataclass(frozen=True)
class Spoken:
    """A tensor name that is understood.

    Attributes:
        naming: whose: KOHYA (of either numbering), PEFT, DIFFUSERS or LDM.
        network: UNET, TEXT, TEXT_2; "" where kohya's layer name says it.
        place: the layer: dotted below the network, or kohya's whole layer name.
        part: the tensor's part as kohya calls it, such as "lora_down.weight".
    """

    naming: str
    network: str
    place: str
    part: str


def understood(tensor: str) -> Spoken | None:
    """Returns what a tensor name says; None: no LoRA of Stable Diffusion has such a name."""
    layer, part = keys.split(tensor)
    if part and _KOHYA.fullmatch(layer):
        return Spoken(KOHYA, "", layer, part)
    for pattern, naming in _PARTS:
        if found := pattern.fullmatch(tensor):
            network, place = _network(found[1])
            part = _TO_KOHYA.get(found[2], found[2])
            return Spoken(naming, network, _place(place, network), part) if network else None
    return None


def _network(place: str) -> tuple[str, str]:
    """Returns the network and the place below it; ("", place) where it tells none."""
    place = place.removeprefix(_WRAPPED)
    for root, network in _ROOTS:
        if place.startswith(root):
            return network, place[len(root):].removeprefix(_WRAPPED)
    return next((network for pattern, network in _BARE if pattern.match(place)), ""), place


def _place(place: str, network: str) -> str:
    """Returns the module's own path: diffusers' first files name attention by its processor."""
    place = place.replace(".processor.", ".")
    if network == UNET:
        return f"{place}.0" if place.endswith(".to_out") else place
    return _OLD_ATTENTION.sub(r".\1_proj", place)


def kohya_layer(spoken: Spoken, family: Family | None) -> str | None:
    """Returns kohya's name of a layer, as sd-scripts writes it for the family.

    Args:
        spoken: what the file says.
        family: the file's; None = not known: names stay as near to the file's as they can.

    Returns:
        None where kohya's naming has no such layer.
    """
    if spoken.naming == KOHYA:
        return _usual(keys.canonical(spoken.place), family)
    flat = spoken.place.replace(".", "_")
    if spoken.network == UNET:
        known = any(ldm.unet_path(ldm.PREFIX + flat, other) for other in ([family] if family else FAMILIES.values()))
        return _usual(ldm.PREFIX + flat, family) if known else None
    return f"{_text_prefix(spoken.network, family)}_{flat}" if _TEXT_NAME.fullmatch(flat) else None


def _usual(layer: str, family: Family | None) -> str:
    """Returns a kohya name as the family's files usually spell it; one that is not known stays as it is."""
    if family is None:
        return layer
    path = ldm.unet_path(layer, family)
    if path:
        return ldm.unet_layer(path, family) or layer
    if len(family.text_encoders) == 1 and layer.startswith("lora_te1_"):
        return "lora_te_" + layer[len("lora_te1_"):]
    return layer


def _text_prefix(network: str, family: Family | None) -> str:
    if network == TEXT_2:
        return "lora_te2"
    return "lora_te" if family is None else family.text_encoders[0].prefix


def spelled(layer: str, family: Family, naming: str) -> str | None:
    """Returns what stands before the part in another naming.

    Args:
        layer: kohya's name, as sd-scripts writes it for the family.
        naming: any of the six.

    Returns:
        None where that naming has no such layer.
    """
    path = ldm.unet_path(layer, family)
    if path:
        return _unet_spelled(path, family, naming)
    found = _TEXT_PREFIX.fullmatch(layer)
    if found is None or f"lora_te{found[1] or ''}" not in [facts.prefix for facts in family.text_encoders]:
        return None
    if naming in (KOHYA, KOHYA_LDM, KOHYA_DIFFUSERS):
        return layer
    place = text_place(found[2])
    return place and _TEXT_ROOTS[naming == LDM][found[1] or family.name] + place


_TEXT_ROOTS = (
    {"1": "text_encoder.", "2": "text_encoder_2.", "sd1": "text_encoder.", "sd2": "text_encoder."},
    {"1": "text_encoders.clip_l.transformer.", "2": "text_encoders.clip_g.transformer.",
     "sd1": "text_encoders.clip_l.transformer.", "sd2": "text_encoders.clip_h.transformer."},
)
"""Before a text encoder's path, for diffusers and for ComfyUI: by kohya's number, else by family."""


def _unet_spelled(path: str, family: Family, naming: str) -> str | None:
    if naming == KOHYA:
        return ldm.unet_layer(path, family)
    if naming == KOHYA_LDM:
        return ldm.PREFIX + path.replace(".", "_")
    if naming == LDM:
        return f"diffusion_model.{path}"
    named = ldm.diffusers_path(path)
    if named is None:
        return None
    return ldm.PREFIX + named.replace(".", "_") if naming == KOHYA_DIFFUSERS else f"unet.{named}"


def text_place(name: str) -> str | None:
    """Returns the path in transformers' CLIP of what kohya writes behind an encoder's prefix; None = no layer."""
    found = _TEXT_NAME.fullmatch(name)
    if found is None:
        return None
    if found[1]:
        return f"text_model.encoder.layers.{found[1]}.{f'{found[2]}.{found[3]}' if found[2] else found[4]}"
    if found[5]:
        return f"text_model.{found[5]}"
    return f"text_model.embeddings.{found[6]}" if found[6] else found[7]


def variant(layer: str, family: Family | None) -> str:
    """Returns which of kohya's spellings a U-Net layer of a file has; KOHYA where it is the usual one, or unknown."""
    usual = _usual(layer, family)
    if family is None or usual == layer or not layer.startswith(ldm.PREFIX):
        return KOHYA
    return KOHYA_DIFFUSERS if family.named_as_ldm else KOHYA_LDM
