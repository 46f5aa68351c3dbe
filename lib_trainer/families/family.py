"""What a model family is: the facts in which SD 1.x, SD 2.x and SDXL differ, as one frozen record.

Hosts fill a `Checkpoint` with the record of the model they have loaded; everybody else asks the record instead of
asking which family it is. Layer names are kohya's; where their modules are in a host tells `ldm.py`.
"""
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
        base_version: value of `ss_base_model_version`; `base_version_v` that of v-prediction models, "" = the same.
        modelspec: value of `modelspec.architecture` for a LoRA of this family; `modelspec_v` likewise.
        implementation: value of `modelspec.implementation`.
        latent_scale: factor between VAE latents and what the U-Net sees.
        resolution: native size in pixels of the true-size model; `resolution_v` likewise, 0 = the same.
        bucket_step: sides of training pictures are multiples of this, in pixels.
        text_encoders: the encoders in the order of their outputs.
        is_attention_layer: whether LierLa adapts the U-Net layer of this kohya name.
        is_conv_layer: whether only C3Lier adapts the U-Net layer of this kohya name.
        is_text_layer: whether a text-encoder LoRA adapts the layer of this kohya name.
        has_size_ids: whether the U-Net is told a pooled text vector, picture size and crop.
        has_clip_skip: whether the text encoder's layer can be chosen; else it is fixed and clip skip is ignored.
        named_as_ldm: whether kohya names U-Net layers as the original checkpoint does (SDXL), else as diffusers does.
        heads: attention heads in every layer of the U-Net; 0 = one for `head_width` channels.
        head_width: channels of an attention head in the U-Net, 0 = see `heads`.
        empty_negative_is_zero: whether an empty negative prompt is drawn with states of 0 instead of encoded.
        bare_up_levels: levels of the up side (0 = the deepest) without attention, where the upsampler moves up.
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
    bare_up_levels: tuple[int, ...]
    heads: int = 0
    head_width: int = 0
    base_version_v: str = ""
    modelspec_v: str = ""
    resolution_v: int = 0
    has_size_ids: bool = False
    has_clip_skip: bool = True
    named_as_ldm: bool = False
    empty_negative_is_zero: bool = False

    def native_resolution(self, prediction: str) -> int:
        """Returns the size in pixels of the true-size model that predicts "epsilon" or "v"."""
        return self.resolution_v if prediction == "v" and self.resolution_v else self.resolution
