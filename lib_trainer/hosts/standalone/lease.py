"""The lease of the embedded host: turns on the loaded model, each leaving it as it was found."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.hosts.standalone.loader import LoadedModel
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


def restored(loaded: LoadedModel) -> AbstractContextManager[None]:
    """Makes the networks ready for a turn (eval mode, nothing requires a gradient) and restores what was found."""
    return _restored([module for network in loaded.networks() for module in network.modules()])


@contextmanager
def _restored(modules: list) -> Iterator[None]:  # type: ignore[type-arg]
    weights = [weight for module in modules for weight in module.parameters(recurse=False)]
    found_modes = [module.training for module in modules]
    found_grads = [(weight.requires_grad, weight.grad) for weight in weights]
    try:
        for module in modules:
            module.training = False
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for module, mode in zip(modules, found_modes, strict=True):
            module.training = mode
        for weight, (wanted, grad) in zip(weights, found_grads, strict=True):
            weight.requires_grad_(wanted)
            weight.grad = grad
