"""The lease of the embedded host: turns on the loaded model, each leaving it as it was found."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.lock import FifoLock
from lib_trainer.hosts.standalone.model import StandaloneModel


class StandaloneLease:
    """`Lease` of one checkpoint: the same file loaded again counts as the same model."""

    def __init__(
        self, leased: LoadedModel, current: Callable[[], LoadedModel], lock: FifoLock,
        lend: Callable[[LoadedModel], StandaloneModel],
    ) -> None:
        self._leased = leased.checkpoint.name
        self._identity = leased.identity
        self._current = current
        self._lock = lock
        self._lend = lend
        self._open = True

    @contextmanager
    def turn(self) -> Iterator[StandaloneModel]:
        """Exclusive use of the model.

        Raises:
            ModelChanged: another checkpoint is loaded now.
            UserError: the lease was closed.
        """
        if not self._open:
            raise UserError("The lease on the model is closed. Borrow the model again.")
        with self._lock:
            loaded = self._current()
            if loaded.identity != self._identity:
                raise ModelChanged(f"The checkpoint was changed from '{self._leased}' to '{loaded.checkpoint.name}'. "
                                   f"Load '{self._leased}' again to go on.")
            with restored(loaded):
                yield self._lend(loaded)

    def close(self) -> None:
        """Ends the lease."""
        self._open = False


@contextmanager
def restored(loaded: LoadedModel) -> Iterator[None]:
    """Makes the networks ready for a turn (eval mode, nothing requires a gradient) and restores what was found.

    Looks at every flag but sets only those that differ: a turn is taken for every step and must cost next to nothing.
    """
    modes = [module.training for module in loaded.modules]
    flags = [(weight.requires_grad, weight.grad) for weight in loaded.weights]
    try:
        _set(loaded, [False] * len(modes), [(False, grad) for _, grad in flags])
        yield
    finally:
        _set(loaded, modes, flags)


def _set(loaded: LoadedModel, modes: list[bool], flags: list[tuple[bool, torch.Tensor | None]]) -> None:
    for module, mode in zip(loaded.modules, modes, strict=True):
        if module.training != mode:
            module.training = mode
    for weight, (wanted, grad) in zip(loaded.weights, flags, strict=True):
        if weight.requires_grad != wanted:
            weight.requires_grad_(wanted)
        if weight.grad is not grad:
            weight.grad = grad
