"""What is trained."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.lora.adapters.facts import FACTS, OPTIONS, RANK, takers
from lib_trainer.training.settings.network import NetworkSettings

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.rules.rule import Rules

_FIELDS = {entry.name: entry for entry in dataclasses.fields(NetworkSettings)}

_BY_BLOCK = ("block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas", "block_lrs")

_LORA_PLUS = ("lora_plus", "lora_plus_unet", "lora_plus_text_encoder")

_WITH_CONVOLUTIONS = ("full", "convolutions")
"""Sets of layers that hold the true convolutions."""


def _parts(config: TrainConfig) -> Iterator[str]:
    if not config.train_unet and not config.train_text_encoder:
        yield "Train U-Net and Train text encoder are both off, so nothing would learn: switch one of them on."


def _blocks(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.blocks.selection import parse_blocks

    try:
        parse_blocks(config.blocks)
    except UserError as error:
        yield f"blocks = {config.blocks!r}: {error}"


def _by_block(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.blocks.per_block import readable

    for name in _BY_BLOCK:
        text = getattr(config, name)
        if text and (fault := readable(text)):
            yield f"{name} = {text!r}: {fault}"
    if config.block_lr_zero_threshold and not config.block_lrs:
        yield (f"block_lr_zero_threshold = {config.block_lr_zero_threshold:g} does nothing: 'Learning rate by block' "
               "is empty. Write factors there, or set 0.")
    if config.conv_block_alphas and not (config.conv_rank or config.conv_block_dims):
        yield "conv_block_alphas does nothing: no convolution is trained. Set a conv rank, or leave it empty."
    if RANK not in FACTS[config.algorithm].takes:
        for name in _BY_BLOCK[:-1]:
            if getattr(config, name):
                yield (f"{name} does nothing with {FACTS[config.algorithm].label}, which has no rank: leave it empty; "
                       "to train some blocks only, use 'Blocks'.")


def _options(config: TrainConfig) -> Iterator[str]:
    """Settings that the chosen kind does not know."""
    facts = FACTS[config.algorithm]
    for name in OPTIONS:
        value, field = getattr(config, name), _FIELDS[name]
        if name not in facts.takes and value != field.default:
            back = "switch it off" if value is True else f"set it to {field.default:g}"
            yield (f"{name} = {value}: '{field.metadata['label']}' does nothing with {facts.label}, it is for "
                   f"{_listed(takers(name))}; {back}, or choose another kind of network.")
    if config.dora and config.network_dropout:
        yield ("network_dropout does nothing with DoRA, which works on whole weights: set it to 0, or use rank_dropout "
               "or module_dropout.")
    if not config.dora_on_output and not config.dora:
        yield "dora_on_output is off, but dora is off as well: switch DoRA on, or 'DoRA lengths per output' on."


def _convolutions(config: TrainConfig) -> Iterator[str]:
    has_rank = bool(config.conv_rank or config.conv_block_dims)
    ranked = RANK in FACTS[config.algorithm].takes
    if config.layers in _WITH_CONVOLUTIONS and ranked and not has_rank:
        yield (f"layers = '{config.layers}' holds the 3x3 convolutions, but conv_rank is 0: set a conv rank (LyCORIS "
               f"takes the rank itself, {config.rank}), or choose layers = 'full-lin' or 'attn-mlp'.")
    if config.layers == "full-lin" and has_rank:
        yield ("layers = 'full-lin' leaves the 3x3 convolutions alone, so conv_rank does nothing: set it to 0, or "
               "choose layers = 'full'.")
    if config.tucker and not has_rank:
        yield "tucker does nothing: it is for 3x3 convolutions. Set a conv rank, or switch it off."


def _lokr(config: TrainConfig) -> Iterator[str]:
    if config.factor == 0:
        yield "factor = 0: LoKr's small matrix has at least one row. Set -1 (as square as can be) or 1 or more."
    if config.full_matrix and config.decompose_both:
        yield "full_matrix and decompose_both are both on, and each forbids the other: switch one of them off."


def _dylora(config: TrainConfig) -> Iterator[str]:
    if config.algorithm != "dylora":
        return
    if config.rank % config.dylora_unit:
        yield (f"dylora_unit = {config.dylora_unit} does not divide the rank {config.rank}: choose a unit that does, "
               "such as 1.")
    if config.conv_rank not in (0, config.rank):
        yield (f"conv_rank = {config.conv_rank}: DyLoRA has one rank for all layers. Set it to the rank, "
               f"{config.rank}, or to 0.")


def _oft_of_sd_scripts(config: TrainConfig) -> Iterator[str]:
    if config.algorithm == "oft_kohya" and config.train_text_encoder:
        yield ("algorithm = oft_kohya is for the U-Net only: switch 'Train text encoder' off, or choose oft (LyCORIS).")


def _continued(config: TrainConfig) -> Iterator[str]:
    if config.continue_alpha == "rescale" and not config.continue_from:
        yield ("continue_alpha = rescale does nothing: 'Continue from LoRA' is empty. Name a LoRA there, or choose "
               "adopt.")


def _lora_plus(config: TrainConfig) -> Iterator[str]:
    if FACTS[config.algorithm].file_kind == "lora" or config.continue_from:
        return
    for name in _LORA_PLUS:
        if getattr(config, name):
            yield (f"{name} = {getattr(config, name):g} does nothing with {FACTS[config.algorithm].label}, which has "
                   "no up factor: set it to 0, or train a LoRA.")


def _beneath(config: TrainConfig) -> Iterator[str]:
    from lib_trainer.training.beneath import parse

    try:
        parse(config.base_loras)
    except UserError as error:
        yield str(error)


def _listed(labels: list[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"


RULES: Rules = (
    (_parts, ("train_unet", "train_text_encoder")),
    (_blocks, ("blocks",)),
    (_by_block, (*_BY_BLOCK, "block_lr_zero_threshold", "conv_rank", "algorithm")),
    (_options, ("algorithm", "dora_on_output", *OPTIONS)),
    (_convolutions, ("algorithm", "layers", "conv_rank", "conv_block_dims", "tucker", "rank")),
    (_lokr, ("factor", "full_matrix", "decompose_both")),
    (_dylora, ("algorithm", "rank", "conv_rank", "dylora_unit")),
    (_oft_of_sd_scripts, ("algorithm", "train_text_encoder")),
    (_continued, ("continue_alpha", "continue_from")),
    (_lora_plus, ("algorithm", "continue_from", *_LORA_PLUS)),
    (_beneath, ("base_loras",)),
)
