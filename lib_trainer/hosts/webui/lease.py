"""The lease of a WebUI's model: a turn is the queue lock, the leased checkpoint, and the backend's clean weights.

Nothing is kept between two turns: the host's own generations, model switches and settings come in between as if nobody
trained.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.host_model import HostModel, Picture, PreviewRequest
from lib_trainer.hosts.webui.backend import Backend
from lib_trainer.hosts.webui.checkpoints import selected
from lib_trainer.hosts.webui.lock import queue_lock


class WebUILease:
    """`Lease` of one checkpoint: the same file loaded again counts as the same model."""

    def __init__(
        self, backend: Backend, draw: Callable[[PreviewRequest], Picture],
        shown: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Leases the checkpoint that is loaded now.

        Args:
            backend: the WebUI's model.
            draw: draws through the host's own pipeline; called inside turns.
            shown: entered for every turn, under the lock: the host's own display of the training.

        Raises:
            UserError: no checkpoint is loaded, or none that can be trained.
        """
        self._backend = backend
        self._draw = draw
        self._shown = shown
        checkpoint = backend.checkpoint()
        self._name, self._path = checkpoint.name, checkpoint.path
        self._identity = backend.identity()
        self._open = True

    @contextmanager
    def turn(self) -> Iterator[HostModel]:
        """Exclusive use of the model.

        Raises:
            ModelChanged: another checkpoint is loaded now.
            UserError: the lease was closed.
        """
        if not self._open:
            raise UserError("The lease on the model is closed. Borrow the model again.")
        with queue_lock(), self._shown():
            self._require_model()
            with self._backend.borrowed(self._draw) as model:
                yield model

    def holds(self) -> bool:
        """Returns whether the leased checkpoint is the loaded one."""
        return self._backend.identity() == self._identity

    def close(self) -> None:
        """Ends the lease."""
        self._open = False

    def _require_model(self) -> None:
        if not self.holds() and selected() == self._path is not None:
            self._backend.load(self._path)
        if self.holds():
            return
        try:
            now = f" to '{self._backend.checkpoint().name}'"
        except UserError:  # nothing loaded, or nothing that can be trained: what matters is that the leased one is gone
            now = ""
        raise ModelChanged(f"The checkpoint was changed from '{self._name}'{now}. Load '{self._name}' again to go on.")
