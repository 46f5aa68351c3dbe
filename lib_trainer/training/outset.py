"""What is settled before the first step: pictures, plan, adapters, precision."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lib_trainer.data.dataset import Dataset
from lib_trainer.data.plan import Plan
from lib_trainer.host import Host
from lib_trainer.host_model import Checkpoint, HostModel
from lib_trainer.keeping import dtype_named
from lib_trainer.lora.network import Network
from lib_trainer.training import beneath, continuing
from lib_trainer.training.beneath import Beneath
from lib_trainer.training.checks.hardware import check_model
from lib_trainer.training.config import TrainConfig


@dataclass(frozen=True)
class Adapters:
    """The adapters and what the model said about itself when they were made.

    Attributes:
        network: the adapters, on the model's device, in the precision in which they learn.
        trained: names of the layers that learn; a continued LoRA may have others, which stay as they are.
        unmatched: tensors of the continued LoRA for which the model has no layer.
        beneath: LoRAs that act and do not learn. told: what the person should know of all of them.
        checkpoint: the model. device: where it is.
        autocast: dtype to compute in, None = as the model is. computes: the dtype in which gradients pass.
    """

    network: Network
    trained: list[str]
    unmatched: list[str]
    beneath: list[Beneath]
    told: list[str]
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
    made, trained, unmatched = continuing.network_of(config, host, model)
    under, told = beneath.load(config.base_loras, host, model)
    return Adapters(
        network=made.to(model.device, dtype_named(config.adapter_precision)), trained=trained, unmatched=unmatched,
        beneath=under, told=[*told, *continuing.remarks(config, made)], checkpoint=model.checkpoint,
        device=model.device, autocast=autocast, computes=autocast or model.compute_dtype,
    )


def plan(config: TrainConfig, datasets: Sequence[Dataset]) -> Plan:
    """Returns the plan of all epochs."""
    return Plan(datasets, seed=config.seed, accumulation=config.gradient_accumulation, epochs=config.epochs,
                run_steps=config.steps)
