"""Says what kind of model a file holds, from the names and shapes of its tensors alone.

The embedded host draws with SD 1.x. Everything else gets a sentence that names what was found, so that a person who
picked an SDXL checkpoint or a LoRA by mistake knows it at once.
"""
from __future__ import annotations

from collections.abc import Mapping

from lib_trainer.errors import UserError

Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer."

SUPPORTED = (
    "The embedded host takes Stable Diffusion 1.x checkpoints: text-to-image, U-Net, VAE and text encoder in one file."
)

_BY_NAME = (
    ("a LoRA", ("lora_", "lycoris_", "oft_unet_"), ("lora_down", "lora_up", "lora_A.", "lora_B.", ".hada_", ".lokr_")),
    ("a Flux model", (), ("double_blocks.",)),
    ("an SD 3 model", (), ("joint_blocks.",)),
    ("an SDXL checkpoint", ("conditioner.",), (UNET + "label_emb.",)),
    ("an SD 2.x checkpoint", ("cond_stage_model.model.",), ()),
    ("a ControlNet", ("control_model.",), ("input_hint_block.",)),
    ("a part of a model in diffusers' layout", ("down_blocks.", "text_model.", "encoder.down_blocks."), ()),
    ("a VAE alone", ("encoder.down.", "decoder.up."), ()),
    ("a textual inversion embedding", ("emb_params", "string_to_param", "clip_l", "clip_g"), ()),
)


def require_sd1(shapes: Shapes, where: object) -> None:
    """Passes for an SD 1.x text-to-image checkpoint.

    Args:
        shapes: shape of every tensor by its original (LDM) name.
        where: the file, for the sentence.

    Raises:
        UserError: the file holds something else; names it.
    """
    found = describe(shapes)
    if found:
        raise UserError(f"'{where}' is {found}. {SUPPORTED}")


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
    channels = shapes.get(UNET + "input_blocks.0.0.weight", (0, 0))[1]
    if channels == 9:
        return "an inpainting checkpoint (9 input channels)"
    if channels != 4:
        return f"a checkpoint whose U-Net takes {channels} channels instead of 4"
    blocks = {name.split(".")[3] for name in shapes if name.startswith(UNET + "input_blocks.")}
    if len(blocks) != 12:
        return f"a checkpoint whose U-Net has {len(blocks)} input blocks instead of 12"
    if len(shapes.get(UNET + "input_blocks.1.1.proj_in.weight", ())) == 2:
        return "an SD 2.x checkpoint"
    return ""
