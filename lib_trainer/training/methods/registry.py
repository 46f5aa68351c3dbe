"""The methods by the name that the setting `method` gives them.

A method may have a course of its own: several runs one after the other, with work on files between them. What a
micro-batch draws and learns is in `objectives`. To add a method is to add a row.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lib_trainer.host import Host
from lib_trainer.training import one_run
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event
from lib_trainer.training.methods import difference, relora
from lib_trainer.training.world import World

Course = Callable[[TrainConfig, Host, Controls, Findings, World], Iterator[Event]]
"""A whole training; `one_run.run` is the usual one."""


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        course: the runs that it takes.
    """

    course: Course = one_run.run


METHODS: dict[str, Method] = {
    "lora": Method(),
    "addift": Method(),
    "difference": Method(difference.course),
    "leco": Method(),
    "ileco": Method(),
    "relora": Method(relora.course),
}
"""The methods, those of `settings.method.METHODS`."""


def runner(method: str) -> Course:
    """Returns the course of a method."""
    return METHODS[method].course
