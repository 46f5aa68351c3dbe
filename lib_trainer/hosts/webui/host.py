"""The WebUIs as a host: queue lock, previews, progress and lists, the same for AUTOMATIC1111, Forge and reForge.

What differs between them (the model in memory, the LoRAs of a generation) is behind `Backend`.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from lib_trainer.blocks import elements as elemental
from lib_trainer.blocks.elements import Elements, ElementsFile
from lib_trainer.blocks.presets import SHIPPED, Presets, PresetsFile
from lib_trainer.host import HostPaths, LiveNetwork
from lib_trainer.host_model import Checkpoint, Picture, PreviewRequest
from lib_trainer.hosts.webui import checkpoints, drawing, lists, paths, wishes
from lib_trainer.hosts.webui.backend import Backend
from lib_trainer.hosts.webui.last_txt2img import LastTxt2Img
from lib_trainer.hosts.webui.lease import WebUILease
from lib_trainer.hosts.webui.live import LiveAdapters
from lib_trainer.hosts.webui.lock import queue_lock
from lib_trainer.hosts.webui.other_script import OtherScript
from lib_trainer.hosts.webui.requests import Requests
from lib_trainer.hosts.webui.state import StateDisplay
from lib_trainer.hosts.webui.switching import base_loaded
from lib_trainer.hosts.webui.windows import StepWindows
from lib_trainer.keeping import AS_IT_IS, Keeping


class WebUIHost:
    """`Host` over a `Backend`; see the ports for every method's contract.

    Attributes:
        backend: what this WebUI does in its own way.
        adapters: the network in training, for prompts that name it.
        requests: what the script's values ask of the generations under way.
        windows: LoRAs of the pass under way that act in some steps only.
        other: the LoRA Block Weight extension, which may act in our place.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.adapters = LiveAdapters(backend.live_targets)
        self.windows = StepWindows(backend, self.adapters)
        self.other = OtherScript()
        self._display = StateDisplay()
        self._last = LastTxt2Img()
        self._is_previewing = False
        self.requests = Requests(self.presets, self.elements, lambda: backend.checkpoint().family.arch)

    @property
    def name(self) -> str:
        """Name of the program for people."""
        return self.backend.name

    @property
    def lora_namings(self) -> tuple[str, ...]:
        """Kohya's names in all their spellings. Forge and reForge read parts of files in dotted names, too; a part is
        no LoRA.
        """
        return ("kohya", "kohya-ldm", "kohya-diffusers")

    @cached_property
    def paths(self) -> HostPaths:
        """The host's folders."""
        return paths.folders()

    def checkpoint(self, base: Path | None = None) -> Checkpoint:
        """The checkpoint loaded now, or the facts of another file."""
        return self.backend.checkpoint() if base is None else checkpoints.peek(base)

    def checkpoints(self) -> list[Path]:
        """The checkpoint files of the host's list, sorted by name."""
        return checkpoints.files()

    def obstacles(self, keeping: Keeping = AS_IT_IS) -> list[str]:
        """What of the present settings forbids training, and which of the wishes cannot be met."""
        return self.backend.obstacles() + wishes.obstacles(keeping, self.backend)

    def remarks(self, keeping: Keeping) -> list[str]:
        """Which of the wishes change nothing."""
        return wishes.remarks(keeping, self.backend)

    @contextmanager
    def borrow_model(self, base: Path | None = None, keeping: Keeping = AS_IT_IS) -> Iterator[WebUILease]:
        """Lends the loaded model, or another checkpoint that is loaded for the run; kept as the host has it.

        What can be met of the wishes is the host's own doing already, see `obstacles`.
        """
        with base_loaded(self.backend, base):
            with queue_lock():
                lease = WebUILease(self.backend, self._preview, self._turn)
            try:
                yield lease
            finally:
                lease.close()

    def _preview(self, request: PreviewRequest) -> Picture:
        self._is_previewing = True
        try:
            return drawing.draw(request, self.backend.checkpoint(), self._last, self._display)
        finally:
            self._is_previewing = False

    def page_begins(self) -> None:
        """Told before the host builds its page, at the start and at every "Reload UI"."""
        self._display.outlive_reloads()
        self.other.look()

    def generation_begins(self, processing: Any, values: Sequence[Any] = ()) -> None:
        """Told of every generation before scripts change it, with our script's values.

        Remembers the txt2img tab's settings for previews; a preview is one picture, whatever these say of plots.
        """
        self._last.remember(processing)
        self.requests.begins(processing, values, compares=not self._is_previewing)

    def job(self, title: str) -> AbstractContextManager[StateDisplay]:
        """Shows a job of this title among the host's own."""
        return self._display.job(title)

    def live(self, network: LiveNetwork) -> AbstractContextManager[None]:
        """Offers the network to prompts while open."""
        return self.adapters.offered(network)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Shows the training and lets go of the adapters that a generation which died may have left on the model."""
        self.adapters.rest()
        with self._display.turn():
            yield

    def lora_saved(self, file: Path) -> None:
        """Has the host list a new or replaced LoRA file and drop what it remembers of it."""
        with queue_lock():
            self.backend.forget_lora(file)
            lists.refresh_loras()

    def checkpoint_saved(self, file: Path) -> None:
        """Has the host list a new checkpoint."""
        checkpoints.refresh()

    def samplers(self) -> list[str]:
        """Names of the samplers, the default first."""
        return lists.samplers()

    @cached_property
    def _presets(self) -> PresetsFile:
        return PresetsFile(self.paths.settings / SHIPPED.name)

    def presets(self) -> Presets:
        """The block-weight presets as the file says now."""
        return self._presets.current()

    @cached_property
    def _elements(self) -> ElementsFile:
        return ElementsFile(self.paths.settings / elemental.SHIPPED.name)

    def elements(self) -> Elements:
        """The elemental rules as their file says now."""
        return self._elements.current()
