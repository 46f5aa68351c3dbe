"""What a run must remember to continue as if it had never ended: named objects that can say and take back their state.

Whatever lives from one update to the next registers itself in `Run.stateful`: adapters, optimiser, averages, loss
statistics. Random numbers need no state, because each belongs to a seed, a purpose and a place (`lib_trainer.seeds`).
"""
from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor

from lib_trainer.lora.network import Network

Trained = Callable[[Tensor], Tensor]
"""From a parameter to its value as it is trained."""


class Stateful(Protocol):
    """Something with a state: dicts, lists, tuples, numbers, texts and tensors, nested as they like."""

    def state_dict(self) -> dict[str, Any]:
        """Returns the state; it may share tensors with the object."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Takes back a state of an object that was made alike."""


class AdapterState:
    """The adapters as they are trained: every factor of every layer, not rounded to the file's precision."""

    def __init__(self, network: Network, trained: Callable[[], AbstractContextManager[Trained]]) -> None:
        """Takes the adapters, and how to get at trained values while a generation holds others (`evaluation`)."""
        self._network = network
        self._trained = trained

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of the tensors of every layer."""
        with self._trained() as trained:
            return {
                name: {key: trained(value).detach().clone() for key, value in layer.state_dict(keep_vars=True).items()}
                for name, layer in self._network.layers.items()
            }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Puts the tensors into the layers (the same parameters stay)."""
        for name, layer in self._network.layers.items():
            layer.load_state_dict(state_dict[name])
