"""Which weights the adapters hold: those that are trained, or those that are to be used.

They differ where an average is kept (`ema`) and with schedule-free optimisers (Defazio et al. 2024, "The Road Less
Scheduled"), which train a point between the average and the newest weights. Files, previews, validation and a
generation between two turns want the weights to be used; the next turn finds the trained ones again, bit for bit,
whatever was looked at in between.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from lib_trainer.host_model import Target
from lib_trainer.lora.network import Network
from lib_trainer.training.learning import optimizers
from lib_trainer.training.learning.ema import Ema


class Evaluation:
    """Exchanges the weights; may be open several times at once (a file is saved while a generation draws)."""

    def __init__(
        self, parameters: Sequence[torch.nn.Parameter], optimizer: torch.optim.Optimizer, ema: Ema | None
    ) -> None:
        self._parameters = parameters
        self._optimizer: Any
        self._optimizer = optimizer if optimizers.switches_weights(optimizer) else None
        self._ema = ema
        self._lock = threading.Lock()
        self._open = 0
        self._trained: list[Tensor] = []
        if self._optimizer is not None:
            self._optimizer.train()

    @contextmanager
    def weights(self) -> Iterator[None]:
        """While open, the adapters hold the weights to be used."""
        if self._optimizer is None and self._ema is None:
            yield
            return
        with self._lock:
            self._open += 1
            if self._open == 1:
                self._enter()
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                if not self._open:
                    self._leave()

    @contextmanager
    def trained(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """While open, nobody exchanges weights; gives a function from a parameter to its trained value.

        A generation may hold the weights to be used while a state is written: the state is of what is trained.
        """
        with self._lock:
            kept = {id(weight): value for weight, value in zip(self._parameters, self._trained, strict=False)}
            yield lambda weight: kept.get(id(weight), weight)

    @torch.no_grad()
    def _enter(self) -> None:
        self._trained = [weight.detach().clone() for weight in self._parameters]
        if self._optimizer is not None:
            self._optimizer.eval()
        if self._ema is not None:
            self._put(self._ema.averages)

    @torch.no_grad()
    def _leave(self) -> None:
        if self._optimizer is not None:
            self._optimizer.train()
        self._put(self._trained)  # the optimiser's way back is right to rounding only
        self._trained = []

    def _put(self, values: Sequence[Tensor]) -> None:
        for weight, value in zip(self._parameters, values, strict=True):
            weight.copy_(value)


class LiveView:
    """The adapters in training as a generation is to see them: `LiveNetwork` with the weights to be used."""

    def __init__(self, network: Network, weights: Callable[[], AbstractContextManager[None]]) -> None:
        self._network = network
        self._weights = weights

    @property
    def layers(self) -> Mapping[str, object]:
        """The adapted layers by kohya layer name."""
        return self._network.layers

    @property
    def is_attached(self) -> bool:
        """Whether it acts on a model now."""
        return self._network.is_attached

    @contextmanager
    def attached(self, targets: Sequence[Target], multipliers: Mapping[str, float] | None = None) -> Iterator[Network]:
        """While open, acts on the targets with the weights to be used."""
        with self._weights(), self._network.attached(targets, multipliers) as network:
            yield network

    def set_multipliers(self, multipliers: Mapping[str, float] | None = None) -> None:
        """Sets every layer's multiplier."""
        self._network.set_multipliers(multipliers)
