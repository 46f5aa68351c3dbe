"""Optimisers that find the learning rate themselves, and the rates that really act.

D-Adaptation (Defazio & Mishchenko 2023) and Prodigy (Mishchenko & Defazio 2023) estimate one distance d to the solution
for all weights and step by d times the rate; rates that differ between parts are refused by the authors' classes and
ignored by others. Here they act: a part whose rate is r times the first one's is trained in coordinates q = p / r, with
gradients r * g. The estimate sees every part in its own unit, and the step in p is r times as long, which for Adam's
kind is what the authors' `layer_scale` of DAdaptAdam does. Where steps are proportional to the gradient (SGD) the unit
is the square root of r.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from lib_trainer.errors import UserError


class Units:
    """The unit in which the weights of every group are measured while they are updated; fixed for a run."""

    def __init__(self, rates: Mapping[str, float], power: float) -> None:
        """Takes the first group's rate as the unit.

        Args:
            rates: learning rate by group, above 0.
            power: by which a rate's ratio to the first becomes a unit.
        """
        first = next(iter(rates.values()))
        self.ratios = {name: rate / first for name, rate in rates.items()}
        self._units = {name: ratio**power for name, ratio in self.ratios.items()}

    def state_dict(self) -> dict[str, Any]:
        """Returns the ratios, which the optimiser's own state is measured in."""
        return {"ratios": dict(self.ratios)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compares the ratios with those of the run that goes on.

        Raises:
            UserError: they were others.
        """
        before = state_dict["ratios"]
        if before.keys() == self.ratios.keys() and any(
                abs(before[name] - ratio) > 1e-9 * ratio for name, ratio in self.ratios.items()):
            raise UserError(
                "An optimiser that finds its rate measures every part in units of the rate it began with: the rates of "
                f"the parts were {_shown(before)} to each other and are {_shown(self.ratios)} now. Keep their ratio; "
                "all of them together may be changed.")

    @contextmanager
    def measured(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """While open, weights and gradients of every group are in its unit."""
        scaled = [(group, self._units[group["name"]]) for group in optimizer.param_groups]
        scaled = [(group, unit) for group, unit in scaled if unit != 1.0]
        with torch.no_grad():
            for group, unit in scaled:
                torch._foreach_div_(group["params"], unit)
                if gradients := [weight.grad for weight in group["params"] if weight.grad is not None]:
                    torch._foreach_mul_(gradients, unit)
        try:
            yield
        finally:
            with torch.no_grad():
                for group, unit in scaled:
                    torch._foreach_mul_(group["params"], unit)


def _shown(ratios: Mapping[str, float]) -> str:
    return " : ".join(f"{ratio:g}" for ratio in ratios.values())


def effective(optimizer: torch.optim.Optimizer, ratios: Mapping[str, float]) -> dict[str, float]:
    """Returns the rate by group that really acts: `lr`, times the estimate `d` of an optimiser that finds its own.

    Args:
        optimizer: after its rates were set.
        ratios: of every group to the rate in `lr`; a group that is not named has 1.
    """
    found = {}
    for group in optimizer.param_groups:
        rate = float(group["lr"]) if group["lr"] is not None else _relative(optimizer, group)
        found[group["name"]] = rate * float(group.get("d", 1.0)) * ratios.get(group["name"], 1.0)
    return found


def _relative(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> float:
    """Returns Adafactor's own rate of a group's first weight for its next update (Shazeer & Stern 2018, section 8)."""
    state = optimizer.state.get(group["params"][0], {})
    step = int(state.get("step", 0)) + 1
    rate = min(1e-6 * step if group["warmup_init"] else 1e-2, 1.0 / step**0.5)
    if group["scale_parameter"]:
        rate *= max(float(group["eps"][1]), float(state.get("RMS", 0.0)))
    return rate
