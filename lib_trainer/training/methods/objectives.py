"""What a micro-batch draws and learns, by method; methods that are not named learn what the pictures show."""
from __future__ import annotations

from lib_trainer.training.methods.addift import ADDIFT
from lib_trainer.training.methods.leco import LECO
from lib_trainer.training.micro_batch import Objective
from lib_trainer.training.step import DENOISING

OBJECTIVES: dict[str, Objective] = {
    "addift": ADDIFT,
    "leco": LECO,
    "ileco": LECO,
}
"""Objectives of their own by the name of the method."""


def of(method: str) -> Objective:
    """Returns the objective of a method."""
    return OBJECTIVES.get(method, DENOISING)
