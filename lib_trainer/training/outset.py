"""What is settled before the first step: pictures, plan, adapters, precision."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lib_trainer.blocks.selection import parse_blocks
from lib_trainer.data.dataset import Dataset, Plan
from lib_trainer.errors import UserError
from lib_trainer.host import Checkpoint, Host, HostModel, Target
from lib_trainer.lora import file, network
from lib_trainer.lora.network import Network, NetworkSpec
from lib_trainer.training.checks.hardware import check_model
from lib_trainer.training.checks.lora import find_lora
from lib_trainer.training.config import TrainConfig


@dataclass(frozen=True)
class Adapters:
    """The adapters and what the model said about itself when they were made.

    Attributes:
        network: the adapters, on the model's device.
        trained: names of the layers that learn; a continued LoRA may have others, which stay as they are.
        unmatched: tensors of the continued LoRA for which the model has no layer.
        checkpoint: the model. device: where it is.
        autocast: dtype to compute in, None = as the model is. computes: the dtype in which gradients pass.
    """

    network: Network
    trained: list[str]
    unmatched: list[str]
    checkpoint: Checkpoint
    device: torch.device
    autocast: torch.dtype | None
    computes: torch.dtype


def adapters(config: TrainConfig, host: Host, model: HostModel) -> Adapters:
    """Makes the adapters, fresh or from the LoRA to continue from. Call it inside a turn.

    Raises:
        UserError: the precision cannot be had, no layer is left to train, or the LoRA does not fit the model.
    """
    autocast = check_model(config, model)
    targets, family = model.targets(), model.checkpoint.family
    spec = _spec(config)
    unmatched: list[str] = []
    if config.continue_from:
        made, unmatched = _continued(config, host, targets)
        # The file says which convolutions there are, so any conv rank will do to choose among them.
        wanted = network.choose(targets, NetworkSpec(**{**vars(spec), "conv_rank": 1}), family)
        trained = [choice.target.name for choice in wanted if choice.target.name in made.layers]
    else:
        made = network.create(targets, spec, family, config.seed)
        trained = list(made.layers)
    return Adapters(
        network=made.to(model.device), trained=trained, unmatched=unmatched, checkpoint=model.checkpoint,
        device=model.device, autocast=autocast, computes=autocast or model.compute_dtype,
    )


def _spec(config: TrainConfig) -> NetworkSpec:
    return NetworkSpec(
        rank=config.rank, alpha=config.alpha, conv_rank=config.conv_rank, conv_alpha=config.conv_alpha,
        unet=config.train_unet, text_encoder=config.train_text_encoder,
        blocks=parse_blocks(config.blocks) if config.blocks else None,
    )


def _continued(config: TrainConfig, host: Host, targets: Sequence[Target]) -> tuple[Network, list[str]]:
    path = find_lora(config.continue_from, host)
    if path is None:
        raise UserError(f"continue_from = {config.continue_from!r}: the LoRA has vanished; choose another one.")
    return network.from_state(targets, file.load(path).tensors)


def plan(config: TrainConfig, datasets: Sequence[Dataset]) -> Plan:
    """Returns the plan of all epochs."""
    return Plan(datasets, seed=config.seed, accumulation=config.gradient_accumulation, epochs=config.epochs,
                run_steps=config.steps)
