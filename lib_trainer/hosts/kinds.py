"""Says what kind of model a file holds, from the names and shapes of its tensors alone.

Everything that is no text-to-image checkpoint gets a sentence that names what was found, so that a person who picked a
ControlNet or a LoRA by mistake knows it at once.
"""
from __future__ import annotations

from collections.abc import Mapping

from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL

Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer."

SD2_KIND, SDXL_KIND = "an SD 2.x checkpoint", "an SDXL checkpoint"

_BY_NAME = (
    ("a LoRA", ("lora_", "lycoris_", "oft_unet_"), ("lora_down", "lora_up", "lora_A.", "lora_B.", ".hada_", ".lokr_")),
    ("a Flux model", (), ("double_blocks.",)),
    ("an SD 3 model", (), ("joint_blocks.",)),
    (SDXL_KIND, ("conditioner.",), (UNET + "label_emb.",)),
    (SD2_KIND, ("cond_stage_model.model.",), ()),
    ("a ControlNet", ("control_model.",), ("input_hint_block.",)),
    ("a part of a model in diffusers' layout", ("down_blocks.", "text_model.", "encoder.down_blocks."), ()),
    ("a VAE alone", ("encoder.down.", "decoder.up."), ()),
    ("a textual inversion embedding", ("emb_params", "string_to_param", "clip_l", "clip_g"), ()),
)


def describe(shapes: Shapes) -> str:
    """Returns what the tensors belong to, "" for an SD 1.x text-to-image checkpoint."""
    parts = {label: any(name.startswith(prefix) for name in shapes)
             for label, prefix in (("U-Net", UNET), ("VAE", VAE), ("text encoder", TEXT))}
    for label, starts, inside in _BY_NAME:
        if any(name.startswith(starts) or any(part in name for part in inside) for name in shapes):
            if label == "a ControlNet" and all(parts.values()):
                continue  # a merged file may carry one beside a whole checkpoint
            return label
    if not any(parts.values()):
        return f"no checkpoint that is known here (its {len(shapes)} tensors begin with '{min(shapes, default='')}')"
    missing = [label for label, present in parts.items() if not present]
    if missing:
        return f"a checkpoint without its {' and '.join(missing)}"
    return _describe_unet(shapes)


def _describe_unet(shapes: Shapes) -> str:
    other = _describe_input(shapes)
    if other:
        return other
    blocks = _input_blocks(shapes)
    if blocks != 12:
        return f"a checkpoint whose U-Net has {blocks} input blocks instead of 12"
    if len(shapes.get(UNET + "input_blocks.1.1.proj_in.weight", ())) == 2:
        return SD2_KIND
    return ""


def _describe_input(shapes: Shapes) -> str:
    channels = shapes.get(UNET + "input_blocks.0.0.weight", (0, 0))[1]
    if channels == 9:
        return "an inpainting checkpoint (9 input channels)"
    return "" if channels == 4 else f"a checkpoint whose U-Net takes {channels} channels instead of 4"


def family_of(shapes: Shapes) -> tuple[Family | None, str]:
    """Returns the family of a text-to-image checkpoint, or None and what the tensors belong to instead."""
    kind = describe(shapes)
    if not kind:
        return SD1, ""
    if kind not in (SDXL_KIND, SD2_KIND):
        return None, kind
    if other := _describe_variant(shapes, kind):
        return None, other
    return (SD2 if kind == SD2_KIND else SDXL), ""


def _describe_variant(shapes: Shapes, kind: str) -> str:
    """Returns what an SD 2.x or SDXL checkpoint is if not the ordinary one, else ""."""
    if not any(name.startswith(UNET) for name in shapes):
        return f"{kind} without its U-Net"
    if other := _describe_input(shapes):
        return other
    if kind == SDXL_KIND and not any(name.startswith("conditioner.embedders.1.") for name in shapes):
        return "the SDXL refiner, or an SDXL checkpoint without its second text encoder"
    if any(name.startswith("edm_") for name in shapes):
        return f"{kind} that predicts by another rule (EDM), as Playground v2.5 and CosXL do"
    blocks, wanted = _input_blocks(shapes), 12 if kind == SD2_KIND else 9
    return "" if blocks == wanted else f"{kind} whose U-Net has {blocks} input blocks instead of {wanted}"


def _input_blocks(shapes: Shapes) -> int:
    return len({name.split(".")[3] for name in shapes if name.startswith(UNET + "input_blocks.")})
