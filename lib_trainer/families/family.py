"""What a model family is: the facts in which SD 1.x, SD 2.x and SDXL differ, as one frozen record."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class TextEncoderFacts:
    """One text encoder of a family.

    Attributes:
        prefix: kohya prefix of its layers, such as "lora_te".
        layers: transformer layers that are used (and adapted).
        pad_is_eos: whether unused token places hold the end token (CLIP-L) or 0 (SD2, SDXL's second).
    """

    prefix: str
    layers: int
    pad_is_eos: bool


@dataclass(frozen=True)
class Family:
    """All that differs between families.

    Attributes:
        name: short name used in code and JSON: "sd1", "sd2", "sdxl".
        label: name for people: "SD 1.x".
        arch: name of the block layout family: "sd15" (12 in / mid / 12 out) or "sdxl" (9 / mid / 9).
        base_version: value of `ss_base_model_version`.
        modelspec: value of `modelspec.architecture` for a LoRA of this family.
        implementation: value of `modelspec.implementation`.
        latent_scale: factor between VAE latents and what the U-Net sees.
        resolution: native size in pixels of the true-size model.
        bucket_step: sides of training pictures are multiples of this, in pixels.
        text_encoders: the encoders in the order of their outputs.
        is_attention_layer: whether LierLa adapts the U-Net layer of this kohya name.
        is_conv_layer: whether only C3Lier adapts the U-Net layer of this kohya name.
        is_text_layer: whether a text-encoder LoRA adapts the layer of this kohya name.
        has_size_ids: whether the U-Net is told picture size and crop.
    """

    name: str
    label: str
    arch: str
    base_version: str
    modelspec: str
    implementation: str
    latent_scale: float
    resolution: int
    bucket_step: int
    text_encoders: tuple[TextEncoderFacts, ...]
    is_attention_layer: Callable[[str], bool]
    is_conv_layer: Callable[[str], bool]
    is_text_layer: Callable[[str], bool]
    has_size_ids: bool = False
