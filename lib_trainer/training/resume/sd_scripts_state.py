"""States of sd-scripts (folders of accelerate): told from ours, and what to do with them instead.

Such a folder holds the LoRA's weights, and an optimiser and random states as pickles of another program's objects.
Going on exactly is impossible from there: batches, noise and captions are drawn in another way, and the optimiser's
state knows its parameters by their order only. Its weights can be continued.
"""
from __future__ import annotations

import json
from pathlib import Path

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OTHERS = ("optimizer.bin", "scheduler.bin", "random_states_0.pkl")
_POSITION = "train_state.json"


def is_one(folder: Path) -> bool:
    """Whether a folder is a state that accelerate has written."""
    return any((folder / name).is_file() for name in _WEIGHTS) and any((folder / name).is_file() for name in _OTHERS)


def refusal(folder: Path) -> str:
    """Returns why such a state cannot be resumed, and what can be done."""
    position = _position(folder)
    weights = folder / _WEIGHTS[0]
    instead = (f"Set continue_from = {str(weights)!r} instead: the LoRA goes on from these weights with a fresh "
               "optimiser" if weights.is_file() else
               "Save it with sd-scripts as a LoRA file, and name that under continue_from: the LoRA goes on from there "
               "with a fresh optimiser")
    return (f"resume = {str(folder)!r}: this is a state of sd-scripts{position}, whose order of pictures, noise and "
            f"optimiser cannot be taken over exactly. {instead}, at the learning rate that is set.")


def _position(folder: Path) -> str:
    try:
        found = json.loads((folder / _POSITION).read_text(encoding="utf8"))
        return f" (epoch {int(found['current_epoch'])}, step {int(found['current_step'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
