"""Schedules that are named by their class: `CosineAnnealingLR`, `torch.optim.lr_scheduler.OneCycleLR`, any package's.

Such a class changes an optimiser's rates step by step. It is given an optimiser of its own with one number per part,
and what it has set there is read; so it needs no place in the saved state: where another update than the next one is
asked for (a run that goes on), the class is made anew and stepped that often. It also cannot touch anything else.
"""
from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.training.learning import arguments
from lib_trainer.training.learning.schedules import SCHEDULES

_WHAT = "Schedule arguments"

_FOLLOWED = ("betas", "momentum")
"""What else a schedule may change (OneCycleLR, CyclicLR)."""


class ClassSchedule:
    """A schedule class at some update."""

    def __init__(self, name: str, args_text: str, rates: Mapping[str, float], followed: Mapping[str, Any]) -> None:
        """Makes it at update 0.

        Args:
            name: of `torch.optim.lr_scheduler`, or package.module.Class.
            args_text: the person's arguments, as for optimisers.
            rates: learning rate by parameter group.
            followed: values in the optimiser's groups of what a schedule may change besides the rate.

        Raises:
            UserError: no such class, or it refuses its arguments.
        """
        self._class = find(name)
        self._arguments = checked(name, args_text)
        self._name = name
        self._rates = dict(rates)
        self._followed = {key: value for key, value in followed.items() if key in _FOLLOWED}
        self._begin()

    def _begin(self) -> None:
        import torch

        groups = [{"name": name, "lr": rate, "params": [torch.nn.Parameter(torch.zeros(1))], **self._followed}
                  for name, rate in self._rates.items()]
        self._optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9)
        # Schedules look here for what they may change.
        self._optimizer.defaults.update(self._followed)
        try:
            self._schedule = self._class(self._optimizer, **self._arguments)
        except (ValueError, TypeError, AssertionError, KeyError, AttributeError) as error:
            raise UserError(f"The schedule {self._name} refuses its arguments ({arguments.shown(self._arguments)}): "
                            f"{error}. Change them.") from error
        self._at = 0

    def at(self, step: int) -> dict[str, dict[str, Any]]:
        """Returns by group what the schedule sets for the update with this 0-based number: `lr` and what it follows.

        Raises:
            UserError: the class cannot go that far (OneCycleLR has a total of its own).
        """
        if step < self._at:
            self._begin()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the rates change without an optimiser's step is meant
            for _ in range(step - self._at):
                try:
                    self._schedule.step()
                except (ValueError, TypeError) as error:
                    raise UserError(f"The schedule {self._name} cannot be asked for update {step + 1}: {error}. Change "
                                    "its arguments.") from error
        self._at = step
        return {group["name"]: {key: group[key] for key in ("lr", *self._followed)}
                for group in self._optimizer.param_groups}


def find(name: str) -> type[Any]:
    """Returns the class of a name.

    Raises:
        UserError: there is none, or it needs more than the number of the update (ReduceLROnPlateau).
    """
    module, _, class_name = name.strip().rpartition(".")
    if not module:
        _look_up(class_name)
    loaded = arguments.load_class(f"{module or 'torch.optim.lr_scheduler'}:{class_name}", f"schedule {name.strip()}")
    step = getattr(loaded, "step", None)
    if step is None:
        raise UserError(f"'{name}' is no schedule: it has no step(). Choose a class of torch.optim.lr_scheduler.")
    needed = [parameter.name for parameter in list(inspect.signature(step).parameters.values())[1:]
              if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    if needed:
        raise UserError(f"The schedule '{name}' wants '{needed[0]}' at every step, but a schedule here knows only the "
                        "number of the step. Choose another one.")
    return loaded


def _look_up(name: str) -> None:
    """Says what a name without dots may have meant, where torch has no such class."""
    from torch.optim import lr_scheduler

    if name not in vars(lr_scheduler):
        near = difflib.get_close_matches(name, [*SCHEDULES, *vars(lr_scheduler)], n=3)
        raise UserError(f"There is no schedule '{name}'"
                        + (f"; did you mean {' or '.join(near)}?" if near else
                           f". Choose one of {', '.join(SCHEDULES)}, or write package.module.Class."))


def checked(name: str, args_text: str) -> dict[str, Any]:
    """Returns the arguments of a class after checking their names.

    Raises:
        UserError: an unknown class or argument.
    """
    loaded = find(name)
    given = arguments.parse(args_text, _WHAT)
    allowed = arguments.names(loaded, ("self", "optimizer", "verbose"))
    for word in given:
        if word not in allowed:
            raise UserError(arguments.unknown(_WHAT, name, word, allowed))
    return given
