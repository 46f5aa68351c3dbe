"""The adapters of a run: fresh ones, or those of a LoRA to continue from.

Of a continued LoRA the file says the kind, the layers and the ranks (`dim_from_weights`); else the settings do, the
file must fit them, and what it lacks begins new. Its alpha is adopted, or the one of the settings is set and the
weights changed so that the LoRA does what it did: never one alpha in training and another in the file.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.host import Host
from lib_trainer.host_model import HostModel, Target
from lib_trainer.lora import file, network
from lib_trainer.lora.adapters import making
from lib_trainer.lora.choice import Choice, NetworkSpec, choose
from lib_trainer.lora.finding import find_lora
from lib_trainer.lora.network import Network
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.network_settings import spec

_KEPT = ("lora", "lora_fa", "dylora")
"""Kinds that train on an ordinary LoRA's file."""


def network_of(config: TrainConfig, host: Host, model: HostModel) -> tuple[Network, list[str], list[str]]:
    """Makes the adapters. Call it inside a turn.

    Returns:
        The network (CPU), the names of the layers that learn, and the tensors of the file that are left out.

    Raises:
        UserError: no layer is left to train, or the LoRA does not fit the model or the settings.
    """
    family = model.checkpoint.family
    wanted = spec(config, family.arch, host.presets())
    targets = [*model.targets(), *model.other_targets()]
    if not config.continue_from:
        made = network.create(targets, wanted, family, config.seed)
        return made, list(made.layers), []
    found, unmatched = _from_file(config, host, targets)
    # The file says which convolutions there are, so any conv rank will do to choose among them.
    chosen = choose(targets, wanted if not config.dim_from_weights else _widest(wanted), family)
    members = list(found.layers.values())
    if not config.dim_from_weights:
        _refuse_other_ranks(found, chosen)
        members = _with_fresh(found, chosen, targets, wanted, family, config.seed)
    if config.continue_alpha == "rescale":
        by_name = {choice.target.name: choice for choice in chosen}
        for layer in found.layers.values():
            alpha = config.conv_alpha if layer.is_kernel else config.alpha
            making.set_alpha(layer, by_name[layer.name].alpha if layer.name in by_name else alpha)
    made = Network(members, found.algorithm, wanted.dropout, network.rates_of(members, wanted))
    return made, [choice.target.name for choice in chosen if choice.target.name in made.layers], unmatched


def _from_file(config: TrainConfig, host: Host, targets: Sequence[Target]) -> tuple[Network, list[str]]:
    path = find_lora(config.continue_from, host)
    if path is None:
        raise UserError(f"continue_from = {config.continue_from!r}: the LoRA has vanished; choose another one.")
    algorithm = config.algorithm if config.algorithm in _KEPT else "lora"
    return network.from_state(targets, file.load(path).tensors, algorithm, config.dylora_unit)


def _widest(wanted: NetworkSpec) -> NetworkSpec:
    """Returns a spec that chooses by parts and blocks alone, whatever layers the file has."""
    return replace(wanted, rank=1, conv_rank=1, layers="full", algorithm="lora", norms=True, per_block=type(
        wanted.per_block)())


def _refuse_other_ranks(found: Network, chosen: Sequence[Choice]) -> None:
    """Tells layers whose rank in the file is not that of the settings.

    Raises:
        UserError: there are some.
    """
    other = [(choice, found.layers[choice.target.name]) for choice in chosen
             if choice.target.name in found.layers and found.layers[choice.target.name].rank not in (None, choice.rank)]
    if other:
        choice, layer = other[0]
        raise UserError(
            f"{len(other)} layers of the LoRA have another rank than the settings say, such as '{layer.name}' with "
            f"{layer.rank} in place of {choice.rank}: set that rank, or switch 'Layers and ranks of that file' on."
        )


def _with_fresh(
    found: Network, chosen: Sequence[Choice], targets: Sequence[Target], wanted: NetworkSpec, family: Family, seed: int
) -> list[making.Trainable]:
    """Returns the file's layers and new ones for what it lacks, in the model's order."""
    missing = {choice.target.name for choice in chosen} - found.layers.keys()
    layers = dict(found.layers)
    if missing:
        rest = [target for target in targets if target.name in missing]
        layers |= network.create(rest, wanted, family, seed).layers
    return [layers[target.name] for target in targets if target.name in layers]


def remarks(config: TrainConfig, made: Network) -> Iterator[str]:
    """Yields what came out otherwise than the settings may have meant."""
    whole = [layer for layer in made.layers.values() if {"lokr_w1", "lokr_w2"} <= layer.stored().keys()]
    if whole and not config.full_matrix and not config.continue_from:
        yield (f"{len(whole)} of {len(made.layers)} layers have both matrices of LoKr whole, such as "
               f"'{whole[0].name}': rank {config.rank} is half of their sides or more, so rank and alpha do nothing "
               "there. A lower rank or another factor makes them smaller.")
