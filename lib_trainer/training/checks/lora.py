"""The network against the checkpoint, the LoRA to continue from, and those beneath."""
from __future__ import annotations

from collections.abc import Iterator

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.host_model import Checkpoint
from lib_trainer.lora.finding import find_lora
from lib_trainer.training.config import TrainConfig

FIELDS = ("algorithm", "block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas", "block_lrs", "base_loras",
          "block_lr_zero_threshold", "rank", "alpha", "conv_rank", "conv_alpha")
"""Fields that `network` looks at."""


def network(config: TrainConfig, host: Host, checkpoint: Checkpoint) -> Iterator[str]:
    """Faults of the network that only a checkpoint of its family, the host or the installed packages tell."""
    from lib_trainer.lora.adapters.facts import FACTS
    from lib_trainer.training import beneath, network_settings

    yield from network_settings.faults(config, checkpoint.family.arch, host.presets())
    if FACTS[config.algorithm].needs_lycoris and (missing := _lycoris()):
        yield f"algorithm = {config.algorithm}: {missing}"
    try:
        wanted = [name for name, _ in beneath.parse(config.base_loras)]
    except UserError:
        return  # told by the rules
    for name in wanted:
        yield from _usable(f"base_loras: {name!r}", name, host, checkpoint)


def _lycoris() -> str:
    """Returns why the package with some kinds' mathematics cannot be used, "" when it can."""
    from lib_trainer.lora.adapters.lycoris_forms import functional

    try:
        functional("general")
    except UserError as error:
        return str(error)
    return ""


def continue_from(config: TrainConfig, host: Host, checkpoint: Checkpoint) -> Iterator[str]:
    """Faults of the LoRA to continue from."""
    from lib_trainer.lora import file
    from lib_trainer.lora.adapters.facts import FACTS

    where = f"continue_from = {config.continue_from!r}"
    faults = list(_usable(where, config.continue_from, host, checkpoint))
    yield from faults
    path = None if faults else find_lora(config.continue_from, host)
    if path is None:
        return
    kind = file.inspect(path)["algorithm"]
    if kind in FACTS and FACTS[kind].needs_lycoris and (missing := _lycoris()):
        yield f"{where} is of the kind {kind}. {missing}"


def _usable(where: str, name: str, host: Host, checkpoint: Checkpoint) -> Iterator[str]:
    from lib_trainer.lora import file

    try:
        path = find_lora(name, host)
    except UserError as error:
        yield f"{where}: {error}"
        return
    if path is None:
        yield f"{where}: there is no such LoRA, neither as a file nor by name in {str(host.paths.loras)!r}; check it."
        return
    try:
        facts = file.inspect(path)
    except UserError as error:
        yield f"{where}: {error}"
        return
    if facts["family"] not in (None, checkpoint.family.name):
        yield (f"{where}: this LoRA was made for {facts['family']}, the checkpoint {checkpoint.name} is "
               f"{checkpoint.family.label}; choose a LoRA for it, or another checkpoint.")
