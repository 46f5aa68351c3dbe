"""What learns: the adapters' parameter groups, their optimiser, their rates, and one update of them.

Only our own tensors are touched here. An update happens inside a turn all the same: a generation may use the adapters.
"""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.errors import UserError
from lib_trainer.lora import max_norm
from lib_trainer.lora.max_norm import Norms
from lib_trainer.lora.network import TEXT_ENCODER, UNET, Network
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.learning import one_call, optimizers, schedules
from lib_trainer.training.learning.ema import Ema
from lib_trainer.training.learning.evaluation import Evaluation
from lib_trainer.training.learning.groups import Group, groups, rates
from lib_trainer.training.learning.rate_finding import Units, effective
from lib_trainer.training.learning.rates import Rate, parse_part
from lib_trainer.training.learning.schedule_classes import ClassSchedule
from lib_trainer.training.resume.stateful import Stateful, Trained


class Learner:
    """Updates the adapters.

    Attributes:
        parameters: everything that learns.
        optimizer: the optimiser.
        ema: the average that is kept, None = there is none.
        norms: how long the layers' changes are after the last update, None where they are not limited.
    """

    def __init__(
        self, config: TrainConfig, network: Network, trained: Sequence[str], total: int, device: torch.device,
        fp16: bool, arch: str = "sd15",
    ) -> None:
        """Makes the optimiser.

        Args:
            config: the settings.
            network: the adapters; those that learn are switched to require gradients, all others not to.
            trained: names of the layers that learn.
            total: updates of the run.
            device: where the model is.
            fp16: whether gradients pass in fp16, so that the loss must be scaled (Micikevicius et al. 2018).
            arch: "sd15" or "sdxl", for the names of blocks.

        Raises:
            UserError: nothing is left to learn, or the optimiser or the schedule cannot be had.
        """
        self._config = config
        self._network = network
        self.norms: Norms | None = None
        self._groups = groups(config, network, trained, arch)
        self.parameters: list[torch.nn.Parameter] = [weight for group in self._groups for weight in group.weights]
        if not self.parameters:
            raise UserError("Nothing is left to learn: give a learning rate above 0 to a part that is trained.")
        network.requires_grad_(False)
        for weight in self.parameters:
            weight.requires_grad_(True)
        _, self._row = optimizers.find(config.optimizer)
        self.optimizer = optimizers.build(config.optimizer, config.optimizer_args, self._for_optimizer(rates(config)))
        self._rates = _Rates(config, self._groups, total, self.optimizer)
        self._stop_text = parse_part(config.stop_text_encoder, total, "Stop the text encoder")
        self._stopped: list[Tensor] = []
        self._scaler = _scaler(device, fp16)
        self.ema = Ema(self.parameters, config.ema_decay) if config.ema_decay else None
        self._evaluation = Evaluation(self.parameters, self.optimizer, self.ema)
        first = self.optimizer.param_groups[0]
        self._form = {flag: first[flag] for flag in (*one_call.FLAGS, "train_mode") if flag in first}
        self._step = 0

    def _for_optimizer(self, by_part: dict[str, Rate]) -> list[dict[str, Any]]:
        """Returns the groups as torch wants them, and settles the units of an optimiser that finds its rate."""
        highest = {group.name: max(by_part[group.part].rates) * group.factor for group in self._groups}
        self._units = Units(highest, self._row.unit) if self._row.finds_rate else None
        first = next(iter(highest.values()))
        return [{"name": group.name, "params": group.weights, "lr": first if self._units else highest[group.name]}
                for group in self._groups]

    @property
    def text_encoder_learns(self) -> bool:
        """Whether adapters of a text encoder learn at some time of the run."""
        return any(group.part != UNET for group in self._groups)

    @property
    def stateful(self) -> dict[str, Stateful]:
        """What a run must remember of the learning, by name."""
        kept: dict[str, Stateful] = {"optimizer": self.optimizer, "scaler": self._scaler}
        return kept | ({"ema": self.ema} if self.ema else {}) | ({"units": self._units} if self._units else {})

    def evaluating(self) -> AbstractContextManager[None]:
        """While open, the adapters are as files, previews and validation want them."""
        return self._evaluation.weights()

    def trained(self) -> AbstractContextManager[Trained]:
        """While open, tells the trained value of a parameter, whichever it holds now."""
        return self._evaluation.trained()

    def set_rates(self, step: int) -> dict[str, float]:
        """Sets the rate of every group for the update with this 0-based number; returns the rates that really act."""
        self._step = step
        for held in self.optimizer.param_groups:
            held.update(self._form)  # a state may come from another device, or be written while a picture is drawn
        self._rates.set(step, follow_first=self._units is not None)
        shown = effective(self.optimizer, self._units.ratios if self._units else {})
        if self._stop_text and step >= self._stop_text:
            for group in self._groups:
                if group.part.startswith(TEXT_ENCODER):
                    shown[group.name] = 0.0
                    self._stopped += [weight.requires_grad_(False) for weight in group.weights if weight.requires_grad]
        return shown

    @property
    def told_norms(self) -> dict[str, float]:
        """The lengths of the layers' changes by sd-scripts' names; {} where they are not limited."""
        if self.norms is None:
            return {}
        return {"keys_scaled": float(self.norms.shortened), "average_norm": self.norms.mean,
                "max_norm": self.norms.greatest}

    @property
    def loss_scale(self) -> float | None:
        """What losses are multiplied with so that fp16 gradients do not vanish; None = they need not be.

        Waits for the device.
        """
        return self._scaler.get_scale() if self._scaler.is_enabled() else None

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of a loss to what is gathered for the update."""
        self._scaler.scale(loss).backward()

    def update(self) -> None:
        """Applies the gathered gradient, clipped, and forgets it.

        With fp16 an update whose gradient is not finite is left out and the loss is scaled less from then on.
        """
        for weight in self._stopped:
            weight.grad = None  # the sum over several processes is 0, which would still be a step
        self._scaler.unscale_(self.optimizer)
        if self._config.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.parameters, self._config.max_grad_norm)
        # Estimates of the rate pass over updates at rate 0 (in a warm-up); not every class does so by itself.
        if not self._units or self.optimizer.param_groups[0]["lr"]:
            self._take_step()
        self._scaler.update()
        if self._config.scale_weight_norms:
            self.norms = max_norm.limit(self._network, self._config.scale_weight_norms)
        if self.ema:
            self.ema.update()
        self.forget()

    def _take_step(self) -> None:
        with ExitStack() as around:
            if self._units:
                around.enter_context(self._units.measured(self.optimizer))
            if self._row.foreign:
                around.enter_context(seeds.process_wide(self._config.seed, "optimizer", self._step))
            self._scaler.step(self.optimizer)

    def forget(self) -> None:
        """Drops the gathered gradient."""
        self.optimizer.zero_grad(set_to_none=True)


class _Rates:
    """Puts the rates of an update into the optimiser's groups."""

    def __init__(
        self, config: TrainConfig, found: Sequence[Group], total: int, optimizer: torch.optim.Optimizer
    ) -> None:
        self._groups = found
        self._optimizer = optimizer
        self._rates = rates(config)
        self._sets_own = optimizers.sets_own_rate(config.optimizer, config.optimizer_args)
        is_free = optimizers.switches_weights(optimizer)
        plain = schedules.Schedule(schedules.CONSTANT, total)
        self._class: ClassSchedule | None = None
        self._schedules = {part: plain for part in self._rates}
        if is_free or self._sets_own:
            return
        if not schedules.is_class(config.scheduler):
            self._schedules = {part: schedules.read(config, rate, total) for part, rate in self._rates.items()}
            return
        self._class = ClassSchedule(
            config.scheduler, config.scheduler_args, {group["name"]: group["lr"] for group in optimizer.param_groups},
            optimizer.param_groups[0])
        self._class.at(total - 1)  # a class with an end of its own says so now and not in the night

    def set(self, step: int, follow_first: bool) -> None:
        """Sets the rates of an update, by 0-based number.

        Args:
            step: its number.
            follow_first: whether all groups have the first one's rate (their ratios act otherwise, see `Units`).
        """
        if self._class:
            by_name = self._class.at(step)
            for group in self._optimizer.param_groups:
                group.update(by_name[group["name"]])
        elif not self._sets_own:
            first = self._groups[0]
            for group, found in zip(self._optimizer.param_groups, self._groups, strict=True):
                source = first if follow_first else found
                rate = schedules.lr_at(step, self._rates[source.part], self._schedules[source.part])
                group["lr"] = rate * source.factor


def _scaler(device: torch.device, fp16: bool) -> torch.amp.GradScaler:
    enabled = fp16 and device.type == "cuda"
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device.type, enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled)  # torch before 2.3
