"""The model that the parts of a training use: lent once for neighbours that want the same checkpoint kept alike."""
from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from lib_trainer.host import Host, Lease
from lib_trainer.keeping import Keeping
from lib_trainer.training import wishes
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig


class Lending:
    """A lease that lasts as long as parts want the same; given back on every way out."""

    def __init__(self, host: Host) -> None:
        """Borrows nothing yet."""
        self._host = host
        self._stack = ExitStack()
        self._lease: Lease | None = None
        self._lent: tuple[Path | None, Keeping] | None = None

    def __enter__(self) -> Lending:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def lease(self, config: TrainConfig, findings: Findings) -> Lease:
        """Returns the lease for a part; the former one is given back first where the part wants another model.

        Args:
            config: the settings of the part, which say how the model is kept.
            findings: its checkpoint's file.

        Raises:
            UserError: the host cannot load it.
        """
        wanted = findings.base, wishes.keeping(config)
        if self._lease is None or wanted != self._lent:
            self.release()
            self._lease = self._stack.enter_context(self._host.borrow_model(*wanted))
            self._lent = wanted
        return self._lease

    def release(self) -> None:
        """Gives the model back, if one is lent."""
        self._lease = None
        self._stack.close()
