"""What learns: the adapters' parameter groups, their optimiser, their rates, and one update of them.

Only our own tensors are touched here. An update happens inside a turn all the same: a generation may use the adapters.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.lora.network import PARTS, TEXT_ENCODER, Network
from lib_trainer.training import optimizers
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.resume_state import Stateful
from lib_trainer.training.schedules import Rate, Schedule, lr_at, parse_rate, parse_warmup


class Learner:
    """Updates the adapters.

    Attributes:
        parameters: everything that learns.
        optimizer: the optimiser.
    """

    def __init__(
        self, config: TrainConfig, network: Network, trained: Sequence[str], total: int, device: torch.device,
        fp16: bool,
    ) -> None:
        """Makes the optimiser.

        Args:
            config: the settings.
            network: the adapters; those that learn are switched to require gradients, all others not to.
            trained: names of the layers that learn.
            total: updates of the run.
            device: where the model is.
            fp16: whether gradients pass in fp16, so that the loss must be scaled (Micikevicius et al. 2018).

        Raises:
            UserError: nothing is left to learn, or the optimiser cannot be had.
        """
        self._clip = config.max_grad_norm
        self._rates = rates(config)
        self._schedules = {part: _schedule(config, rate, total) for part, rate in self._rates.items()}
        groups = _groups(network, trained, self._rates)
        self.parameters: list[torch.nn.Parameter] = [weight for group in groups for weight in group["params"]]
        if not self.parameters:
            raise UserError("Nothing is left to learn: give a learning rate above 0 to a part that is trained.")
        self.optimizer = optimizers.build(config.optimizer, config.optimizer_args, groups)
        self._scaler = _scaler(device, fp16)

    @property
    def text_encoder_learns(self) -> bool:
        """Whether adapters of the text encoder learn."""
        return any(group["name"] == TEXT_ENCODER for group in self.optimizer.param_groups)

    @property
    def stateful(self) -> dict[str, Stateful]:
        """What a run must remember of the learning, by name."""
        return {"optimizer": self.optimizer, "scaler": self._scaler}

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """While open, the adapters are as files, previews and validation want them."""
        yield

    def set_rates(self, step: int) -> dict[str, float]:
        """Sets the rate of every group for the update with this 0-based number; returns the rates that really act."""
        for group in self.optimizer.param_groups:
            part = group["name"]
            group["lr"] = lr_at(step, self._rates[part], self._schedules[part])
        return optimizers.effective_rates(self.optimizer)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of a loss to what is gathered for the update."""
        self._scaler.scale(loss).backward()

    def update(self) -> None:
        """Applies the gathered gradient, clipped, and forgets it."""
        self._scaler.unscale_(self.optimizer)
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, self._clip)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.forget()

    def forget(self) -> None:
        """Drops the gathered gradient."""
        self.optimizer.zero_grad(set_to_none=True)


def rates(config: TrainConfig) -> dict[str, Rate]:
    """Returns the learning rate of every part that is trained."""
    texts = {"unet": config.unet_lr if config.train_unet else None,
             "text_encoder": config.text_encoder_lr if config.train_text_encoder else None}
    return {part: parse_rate(text or config.learning_rate) for part, text in texts.items() if text is not None}


def _schedule(config: TrainConfig, rate: Rate, total: int) -> Schedule:
    return Schedule(
        config.scheduler, total, parse_warmup(config.warmup, total), config.cycles, config.power, rate=rate.rates[0]
    )


def _groups(network: Network, trained: Sequence[str], by_part: dict[str, Rate]) -> list[dict[str, Any]]:
    """Returns the parameter groups; a part whose rate is always 0 keeps its layers in the file but does not learn."""
    network.requires_grad_(False)
    learning = {id(weight) for name in trained for weight in network.layers[name].parameters()}
    groups = []
    for part in PARTS:
        weights = [weight for weight in network.parameters_of(part) if id(weight) in learning]
        if part in by_part and any(by_part[part].rates) and weights:
            groups.append({"name": part, "params": [weight.requires_grad_(True) for weight in weights],
                           "lr": by_part[part].at(0)})
    return groups


def _scaler(device: torch.device, fp16: bool) -> torch.amp.GradScaler:
    enabled = fp16 and device.type == "cuda"
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device.type, enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled)  # torch before 2.3
