"""Which layers of a model a network adapts, with which rank and alpha."""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lib_trainer.blocks.layers import block_of
from lib_trainer.blocks.per_block import PerBlock
from lib_trainer.families.family import Family
from lib_trainer.host_model import Target
from lib_trainer.lora.adapters.facts import FACTS
from lib_trainer.lora.adapters.form import Dropout, Form
from lib_trainer.lora.adapters.making import NORM as NORM_LAYER
from lib_trainer.lora.changes import own_weight


@dataclass(frozen=True)
class Ranks:
    """Ranks and alphas that differ by block; None = the same everywhere.

    Attributes:
        rank, alpha: of Linear and 1x1 layers. conv_rank, conv_alpha: of true convolutions. A rank of 0 skips a layer.
    """

    rank: PerBlock | None = None
    alpha: PerBlock | None = None
    conv_rank: PerBlock | None = None
    conv_alpha: PerBlock | None = None


@dataclass(frozen=True)
class NetworkSpec:
    """Which layers to adapt and how strongly.

    Attributes:
        rank, alpha: of attention, feed-forward and projection layers, and of every Linear or 1x1 layer.
        conv_rank: rank of the true convolutions; 0 = they are left alone.
        conv_alpha: alpha of the true convolutions.
        unet, text_encoder: which parts are adapted.
        blocks: U-Net blocks of the 26-block layout to adapt; None = all, with the layers that are in no block.
        algorithm: the kind, a key of `facts.FACTS`.
        layers: which layers, one of `facts.LAYER_SETS`.
        norms: whether the norms beside the adapted layers learn as well.
        form: how every layer is made. dropout: what training leaves out.
        per_block: ranks and alphas by block. rates: factors of the learning rate by block; layers at 0 are skipped.
    """

    rank: int
    alpha: float
    conv_rank: int = 0
    conv_alpha: float = 1.0
    unet: bool = True
    text_encoder: bool = True
    blocks: frozenset[str] | None = None
    algorithm: str = "lora"
    layers: str = "attn-mlp"
    norms: bool = False
    form: Form = field(default_factory=Form)
    dropout: Dropout = field(default_factory=Dropout)
    per_block: Ranks = field(default_factory=Ranks)
    rates: PerBlock | None = None


@dataclass(frozen=True)
class Choice:
    """A layer that will be adapted.

    Attributes:
        target: the model's layer. algorithm: its kind, "norm" of a norm. rank, alpha: its own.
        on_input: whether (IA)^3 scales its inputs.
    """

    target: Target
    rank: int
    alpha: float
    algorithm: str = "lora"
    on_input: bool = False


_INSIDE_ATTENTION = re.compile(r"_attn[12]_to_([qkv]|out_0)$")
_TEXT_ATTENTION = re.compile(r"_self_attn_[a-z]+_proj$")
_ENDS = re.compile(r"^lora_unet_conv_(in|out)$")
_TIME = re.compile(r"^lora_unet_time_embedding_linear_[12]$")
_IA3 = re.compile(r"_(to_[kv]|[kv]_proj|ff_net_2|mlp_fc2)$")
_IA3_INPUT = re.compile(r"_(ff_net_2|mlp_fc2)$")
_ATTENTION_NORM = re.compile(r"_(attentions_\d+|blocks_\d+_1|block_1)_(norm|transformer_blocks_\d+_norm[123])$")
_RESNET_NORM = re.compile(r"_(resnets_\d+_norm[12]|(?:blocks_\d+|block)_[02]_(in_layers_0|out_layers_0))$")

_Member = Callable[[str, Family], bool]

_UNET_SETS: dict[str, _Member] = {
    "attn-mlp": lambda name, family: family.is_attention_layer(name),
    "attn-only": lambda name, family: bool(_INSIDE_ATTENTION.search(name)),
    "full": lambda name, family: bool(family.is_attention_layer(name) or family.is_conv_layer(name)
                                      or _ENDS.match(name) or _TIME.match(name)),
    "full-lin": lambda name, family: bool(family.is_attention_layer(name) or family.is_conv_layer(name)
                                          or _TIME.match(name)),
    "convolutions": lambda name, family: bool(family.is_conv_layer(name) or _ENDS.match(name)),
    "ia3": lambda name, family: family.is_attention_layer(name) and bool(_IA3.search(name)),
}
"""LyCORIS' presets; SDXL's ends and time embedding have other names there, and LyCORIS leaves them alone as well."""

_TEXT_SETS: dict[str, Callable[[str], bool]] = {
    "attn-only": lambda name: bool(_TEXT_ATTENTION.search(name)), "ia3": lambda name: bool(_IA3.search(name)),
}
"""Sets that take only some layers of a text encoder."""

_WITH_CONVOLUTIONS = ("attn-mlp", "attn-only", "ia3")
"""Sets to which a conv rank adds the residual blocks and samplers (C3Lier)."""


def choose(targets: Sequence[Target], spec: NetworkSpec, family: Family) -> list[Choice]:
    """Returns the layers that a spec adapts, in the model's order.

    Args:
        targets: every layer the model offers; those it lists apart too where the spec needs them.
        spec: what to adapt.
        family: tells attention, convolution and text layers apart by name.
    """
    found = (_choice(target, spec, family) for target in targets)
    return [choice for choice in found if choice is not None]


def _choice(target: Target, spec: NetworkSpec, family: Family) -> Choice | None:
    name = target.name
    if spec.rates is not None and spec.rates.of(name) == 0.0:
        return None
    if family.is_text_layer(name):
        wanted = spec.text_encoder and _TEXT_SETS.get(spec.layers, lambda _: True)(name)
        return _sized(target, spec, is_kernel=False) if wanted else None
    if not spec.unet or not name.startswith("lora_unet_") or not _in_blocks(name, spec.blocks, family):
        return None
    if _is_norm(name, spec, family):
        return Choice(target, 0, 0.0, NORM_LAYER) if spec.norms else None
    is_kernel = max(own_weight(target).shape[2:], default=1) > 1
    if not _is_member(name, spec, family, is_kernel):
        return None
    return _sized(target, spec, is_kernel)


def _is_member(name: str, spec: NetworkSpec, family: Family, is_kernel: bool) -> bool:
    ranked = FACTS[spec.algorithm].takes
    if _UNET_SETS[spec.layers](name, family):
        return not is_kernel or (spec.layers != "full-lin" and (_has_conv_rank(spec) or "rank" not in ranked))
    return spec.layers in _WITH_CONVOLUTIONS and _has_conv_rank(spec) and family.is_conv_layer(name)


def _has_conv_rank(spec: NetworkSpec) -> bool:
    return bool(spec.conv_rank or spec.per_block.conv_rank)


def _sized(target: Target, spec: NetworkSpec, is_kernel: bool) -> Choice | None:
    """Gives true convolutions the conv rank, and Linear and 1x1 layers the main rank (as kohya); 0 skips a layer."""
    rank, alpha, by_block = spec.rank, spec.alpha, (spec.per_block.rank, spec.per_block.alpha)
    if is_kernel:
        rank, alpha = spec.conv_rank, spec.conv_alpha
        by_block = (spec.per_block.conv_rank, spec.per_block.conv_alpha)
    if by_block[0] is not None:
        rank = round(by_block[0].of(target.name))
    if by_block[1] is not None:
        alpha = by_block[1].of(target.name)
    if "rank" in FACTS[spec.algorithm].takes and rank == 0:
        return None
    on_input = spec.algorithm == "ia3" and bool(_IA3_INPUT.search(target.name))
    return Choice(target, rank, alpha, spec.algorithm, on_input)


def _is_norm(name: str, spec: NetworkSpec, family: Family) -> bool:
    """Whether a layer is a norm of the blocks that the set adapts."""
    if _ATTENTION_NORM.search(name):
        return spec.layers != "convolutions"
    return bool(_RESNET_NORM.search(name)) and (
        spec.layers in ("full", "full-lin", "convolutions") or _has_conv_rank(spec))


def _in_blocks(name: str, blocks: frozenset[str] | None, family: Family) -> bool:
    return blocks is None or block_of(name, family.arch) in blocks


