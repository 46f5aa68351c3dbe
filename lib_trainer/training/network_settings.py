"""What the settings say about the network, put together: which layers, which kind, ranks and rates by block."""
from __future__ import annotations

from collections.abc import Iterator

from lib_trainer.blocks.per_block import PerBlock, read
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.selection import parse_blocks
from lib_trainer.errors import UserError
from lib_trainer.lora.adapters.form import Dropout, Form
from lib_trainer.lora.choice import NetworkSpec, Ranks
from lib_trainer.training.config import TrainConfig


def spec(config: TrainConfig, arch: str, presets: Presets) -> NetworkSpec:
    """Returns what to train.

    Args:
        config: the settings.
        arch: "sd15" or "sdxl".
        presets: block presets, for rates that name one.

    Raises:
        UserError: numbers by block cannot be read, or are another architecture's.
    """
    return NetworkSpec(
        rank=config.rank, alpha=config.alpha, conv_rank=config.conv_rank, conv_alpha=config.conv_alpha,
        unet=config.train_unet, text_encoder=config.train_text_encoder,
        blocks=parse_blocks(config.blocks) if config.blocks else None,
        algorithm=config.algorithm, layers=config.layers, norms=config.train_norm, form=form(config),
        dropout=Dropout(config.network_dropout, config.rank_dropout, config.module_dropout),
        per_block=Ranks(
            rank=_whole("block_dims", config.block_dims, arch, config.rank),
            alpha=_alphas("block_alphas", config.block_alphas, arch, config.alpha),
            conv_rank=_whole("conv_block_dims", config.conv_block_dims, arch, config.conv_rank),
            conv_alpha=_alphas("conv_block_alphas", config.conv_block_alphas, arch, config.conv_alpha),
        ),
        rates=_rates(config, arch, presets),
    )


def form(config: TrainConfig) -> Form:
    """Returns how every layer is made."""
    return Form(
        tucker=config.tucker, scalar=config.use_scalar, dora=config.dora, dora_on_output=config.dora_on_output,
        rs_lora=config.rs_lora, factor=config.factor, decompose_both=config.decompose_both,
        full_matrix=config.full_matrix, unbalanced=config.unbalanced, constraint=config.constraint,
        rescaled=config.rescaled, unit=config.dylora_unit,
    )


def faults(config: TrainConfig, arch: str, presets: Presets) -> Iterator[str]:
    """Yields what is wrong with the numbers by block, for a model of this architecture."""
    for made in (
        lambda: _whole("block_dims", config.block_dims, arch, config.rank),
        lambda: _alphas("block_alphas", config.block_alphas, arch, config.alpha),
        lambda: _whole("conv_block_dims", config.conv_block_dims, arch, config.conv_rank),
        lambda: _alphas("conv_block_alphas", config.conv_block_alphas, arch, config.conv_alpha),
        lambda: _rates(config, arch, presets),
    ):
        try:
            made()
        except UserError as error:
            yield str(error)


def _read(name: str, text: str, arch: str, default: float, presets: Presets | None = None) -> PerBlock | None:
    def items(written: str) -> tuple[str, ...] | None:
        preset = presets.get(written, arch) if presets else None
        return preset.items if preset else None

    try:
        return read(text, arch, default, items) if text.strip() else None
    except UserError as error:
        near = presets.near(text) if presets and ":" not in text and "," not in text else []
        advice = f" Or did you mean the preset {' or '.join(near)}?" if near else ""
        raise UserError(f"{name} = {text!r}: {error}{advice}") from None


def _whole(name: str, text: str, arch: str, default: int) -> PerBlock | None:
    """Reads ranks: whole numbers from 0."""
    found = _read(name, text, arch, float(default))
    wrong = [] if found is None else [number for number in found.named.values() if number < 0 or number % 1]
    if wrong:
        raise UserError(f"{name} = {text!r}: a rank is a whole number from 0, not {wrong[0]:g}.")
    return found


def _alphas(name: str, text: str, arch: str, default: float) -> PerBlock | None:
    """Reads alphas: numbers from 0; of a block that is not trained it does not matter."""
    found = _read(name, text, arch, default)
    wrong = [] if found is None else [number for number in found.named.values() if number < 0]
    if wrong:
        raise UserError(f"{name} = {text!r}: an alpha is above 0, not {wrong[0]:g}.")
    return found


def _rates(config: TrainConfig, arch: str, presets: Presets) -> PerBlock | None:
    """Reads factors of the learning rate; those up to the threshold are 0."""
    found = _read("block_lrs", config.block_lrs, arch, 1.0, presets)
    if found is None:
        return None
    wrong = [number for number in found.named.values() if number < 0]
    if wrong:
        raise UserError(f"block_lrs = {config.block_lrs!r}: a factor is 0 or more, not {wrong[0]:g}.")
    limit = config.block_lr_zero_threshold
    return PerBlock(arch, 1.0, {name: number if number > limit else 0.0 for name, number in found.named.items()})
