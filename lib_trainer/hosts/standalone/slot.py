"""The one checkpoint that the embedded host has in memory, kept as the present run wants it.

Every change happens under the host's lock, so a generation or a turn sees one whole model. A run may want other weights
than the host has (8-bit storage, another precision): they are made of those in memory where rounding allows, and the
file is read again when the run is over.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from lib_trainer.hosts.standalone import kept
from lib_trainer.hosts.standalone.compiled import CompiledUNet
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.loader import describe, identity_of, load
from lib_trainer.hosts.standalone.lock import FifoLock
from lib_trainer.keeping import AS_IT_IS, Keeping

_PART = 0.7
"""Part of a card's memory that a checkpoint file may have for the whole model to be kept on the card."""


def fits(path: Path, device: torch.device) -> bool:
    """Whether a checkpoint's networks fit on a device together, beside what drawing and training need."""
    if device.type != "cuda" or not path.is_file():
        return True
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return path.stat().st_size < _PART * memory


class ModelSlot:
    """Holds a model.

    Attributes:
        model: the checkpoint in memory.
        device: where its networks run. dtype: the host's own precision of U-Net and text encoders.
    """

    def __init__(
        self, path: Path, device: torch.device, dtype: torch.dtype, lock: FifoLock, changed: Callable[[], None]
    ) -> None:
        """Loads a checkpoint.

        Args:
            path: its file.
            device, dtype: see the class.
            lock: the host's.
            changed: told whenever the weights are others.

        Raises:
            UserError: it cannot be used.
        """
        self.device, self.dtype = device, dtype
        self._lock, self._changed = lock, changed
        self._keeping = AS_IT_IS
        self._is_plain = True
        self._arranged = ExitStack()
        self._compiled = CompiledUNet()
        self._fits = fits(path, device)
        self.model = self._load(path, dtype)
        self._arranged.enter_context(kept.arranged(self.model, AS_IT_IS, self._fits))

    def unet(self) -> Callable[..., Any]:
        """Returns what a run's steps call for the U-Net: itself, or its compiled form."""
        return self._compiled(self.model.unet) if self._keeping.compile else self.model.unet

    def read(self, path: Path) -> None:
        """Loads a checkpoint, kept as the present run wants; when that fails the present one stays.

        Raises:
            UserError: it cannot be used.
        """
        with self._lock:
            self._arranged.close()
            former = self.model
            former.placement.rest()  # two models do not fit on every card
            could, self._fits = self._fits, fits(path, self.device)
            try:
                dtype = kept.dtype_for(self._keeping, self.dtype)
                self.model = self._load(path, dtype)
            finally:
                if self.model is former:
                    self._fits = could
                    self._arranged.enter_context(kept.arranged(former, self._keeping, could))
                    if could:
                        former.placement.bring(*former.placement.parts)
            self._is_plain = self.model.compute_dtype == self.dtype
            self._arrange()

    def _load(self, path: Path, dtype: torch.dtype) -> LoadedModel:
        """Loads in a thread of its own, whose OpenMP workers end with it.

        Workers that outlive the loading outnumber the cores together with those of a training's thread, and OpenMP then
        puts all of them to sleep between two operations: a step on two cores took a tenth longer.
        """
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(load, path, self.device, dtype, rests=not self._fits).result()

    def _arrange(self) -> None:
        """Makes the model in memory what the run wants."""
        self._arranged.close()
        if kept.changes_weights(self.model, self._keeping):
            self._is_plain = False
            if not self._fits:
                self.model.placement.rest()
            self.model = kept.converted(self.model, self._keeping)
        self._changed()
        self._arranged.enter_context(kept.arranged(self.model, self._keeping, self._fits))

    @contextmanager
    def kept(self, base: Path | None, keeping: Keeping) -> Iterator[None]:
        """While open, has a checkpoint loaded and keeps it, or whatever is loaded meanwhile, as wished.

        Afterwards the former checkpoint is back as it was, unless the person has loaded another one, which stays.

        Args:
            base: the checkpoint; None = the one in memory.
            keeping: the wishes.

        Raises:
            UserError: the base cannot be used, or the former checkpoint is gone when it is to be read again.
        """
        if (base is None or self.model.identity == identity_of(describe(base).path or base)) and keeping == AS_IT_IS:
            yield
            return
        former, mine = self.model.checkpoint.path, None
        try:
            self._keep(base, keeping)
            mine = self.model.identity
            yield
        finally:
            self._let_go(former if self.model.identity == mine else None)

    def _keep(self, base: Path | None, keeping: Keeping) -> None:
        other = None if base is None or self.model.identity == identity_of(describe(base).path or base) else base
        self._keeping = keeping
        finer = self.model.checkpoint.path if kept.needs_rereading(self.model, keeping) else None
        if wanted := other or finer:
            self.read(wanted)
        else:
            with self._lock:
                self._arrange()

    def _let_go(self, former: Path | None) -> None:
        """Ends the wishes.

        Args:
            former: the checkpoint that comes back; None = the one in memory stays.
        """
        self._keeping = AS_IT_IS
        self._compiled.forget()
        with self._lock:
            self._arranged.close()
            self._arranged.enter_context(kept.arranged(self.model, AS_IT_IS, self._fits))
        wanted = former or self.model.checkpoint.path
        if wanted and not (self._is_plain and wanted == self.model.checkpoint.path):
            self.read(wanted)
