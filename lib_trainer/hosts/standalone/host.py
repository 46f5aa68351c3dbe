"""The embedded host: holds one checkpoint, draws with it, lends it to training.

It is what a WebUI is to the rest of the package. One lock orders everything that touches the model: a generation, a
turn of a lease, loading another checkpoint; whoever asks first is served first.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from pathlib import Path

import torch

from lib_trainer.blocks.elements import Elements, ElementsFile
from lib_trainer.blocks.presets import Presets, PresetsFile
from lib_trainer.errors import UserError
from lib_trainer.host import HostPaths, LiveNetwork
from lib_trainer.host_model import Checkpoint, Picture, PreviewRequest
from lib_trainer.hosts.checkpoint_file import SUFFIXES
from lib_trainer.hosts.standalone import kept, samplers
from lib_trainer.hosts.standalone.display import Display
from lib_trainer.hosts.standalone.drawing import Watch, complete, draw
from lib_trainer.hosts.standalone.infotext import save_png
from lib_trainer.hosts.standalone.lease import StandaloneLease, restored
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.loader import describe
from lib_trainer.hosts.standalone.lock import FifoLock
from lib_trainer.hosts.standalone.loras import Live, LoraShelf, Meanings
from lib_trainer.hosts.standalone.model import StandaloneModel
from lib_trainer.hosts.standalone.slot import ModelSlot
from lib_trainer.keeping import AS_IT_IS, DTYPES, Keeping, dtype_named
from lib_trainer.txt2img_host import DrawProgress, GenerateRequest

PRESETS_FILE = "lbwpresets.txt"
"""Block-weight presets in the settings folder, the peer's file name and format."""

ELEMENTS_FILE = "elempresets.txt"
"""Elemental rules beside them, likewise."""


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    dtype = dtype_named(precision)
    if dtype is None:
        raise UserError(f"The embedded host's precision must be auto, {', '.join(DTYPES)}, got '{precision}'.")
    return dtype


def _require(label: str, file: Path | None, content: str) -> None:
    if file is not None and not file.is_file():
        raise UserError(f"There is no {label} '{file}'. Give the path of a text file of {content}.")


class StandaloneHost:
    """`Txt2ImgHost` over diffusers."""

    def __init__(
        self,
        model_file: Path,
        paths: HostPaths,
        *,
        models_dir: Path | None = None,
        presets_file: Path | None = None,
        elements_file: Path | None = None,
        precision: str = "auto",
    ) -> None:
        """Loads a checkpoint.

        Args:
            model_file: single-file checkpoint of SD 1.x, SD 2.x or SDXL.
            paths: folders; made where they are missing.
            models_dir: folder whose checkpoints `checkpoints` lists; None = the checkpoint's own.
            presets_file: block-weight presets; None = the file in the settings folder, written when absent.
            elements_file: elemental rules; None = the file in the settings folder, likewise.
            precision: of U-Net and text encoder: "fp32", "fp16", "bf16"; "auto" = fp16 on CUDA, fp32 on the CPU.

        Raises:
            UserError: the checkpoint or one of the files cannot be used.
        """
        for folder in (getattr(paths, field.name) for field in fields(paths)):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        _require("presets file", presets_file, "presets")
        _require("file of elemental rules", elements_file, "rules")
        self._paths = paths
        self._models_dir = models_dir or model_file.parent
        self._presets = PresetsFile(presets_file or paths.settings / PRESETS_FILE)
        self._elements = ElementsFile(elements_file or paths.settings / ELEMENTS_FILE)
        self._lock = FifoLock()
        self._shelf = LoraShelf(paths.loras)
        self._hashes: dict[tuple[str, int, int], str] = {}
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._slot = ModelSlot(model_file, device, _dtype(precision, device), self._lock, self._shelf.forget)
        self._live: Live | None = None
        self._display = Display()

    @property
    def name(self) -> str:
        """Name of the host for people."""
        return "Embedded host"

    @property
    def lora_namings(self) -> tuple[str, ...]:
        """Kohya's names as sd-scripts writes them."""
        return ("kohya",)

    @property
    def _loaded(self) -> LoadedModel:
        return self._slot.model

    @property
    def paths(self) -> HostPaths:
        """The host's folders."""
        return self._paths

    def checkpoint(self, base: Path | None = None) -> Checkpoint:
        """The checkpoint loaded now, or the facts of another file.

        Raises:
            UserError: the file is no checkpoint that can be loaded.
        """
        return self._loaded.checkpoint if base is None else describe(base)

    def checkpoints(self) -> list[Path]:
        """The checkpoint files of the models folder, and the loaded one, sorted by name."""
        files = {path for path in self._models_dir.rglob("*") if path.suffix.lower() in SUFFIXES}
        loaded = self._loaded.checkpoint.path
        return sorted(files | ({loaded} if loaded else set()), key=lambda path: path.name.lower())

    def load_model(self, path: Path) -> None:
        """Loads another checkpoint between two generations or turns; when that fails the present one stays.

        Raises:
            UserError: the checkpoint cannot be used.
        """
        self._slot.read(path)

    def obstacles(self, keeping: Keeping = AS_IT_IS) -> list[str]:
        """What of the wishes cannot be had on this machine; nothing else forbids training."""
        return kept.obstacles(keeping, self._slot.device, self._slot.dtype)

    def remarks(self, keeping: Keeping) -> list[str]:
        """Which of the wishes change nothing on this machine."""
        return kept.remarks(keeping, self._slot.device)

    @contextmanager
    def borrow_model(self, base: Path | None = None, keeping: Keeping = AS_IT_IS) -> Iterator[StandaloneLease]:
        """Lends the loaded model, or another checkpoint that is loaded for the run, kept as wished.

        Raises:
            UserError: the base cannot be used, or the former checkpoint is gone when it is to be loaded again.
        """
        with self._slot.kept(base, keeping):
            lease = StandaloneLease(self._loaded, lambda: self._loaded, self._lock, self._lend)
            try:
                yield lease
            finally:
                lease.close()

    def _lend(self, loaded: LoadedModel) -> StandaloneModel:
        return StandaloneModel(loaded, self._preview, self._slot.unet)

    @contextmanager
    def job(self, title: str) -> Iterator[Display]:
        """Passes the host's interrupt on to a job while open; the page shows the job's events by itself."""
        with self._display.shown(title):
            yield self._display

    def interrupt(self) -> None:
        """Asks the job that is shown to stop; does nothing when there is none."""
        self._display.ask_stop()

    @contextmanager
    def live(self, network: LiveNetwork) -> Iterator[None]:
        """While open, `<lora:__training__:...>` in a prompt of `generate` means this network."""
        former, self._live = self._live, Live(network, self._loaded.identity)
        try:
            yield
        finally:
            self._live = former

    def lora_saved(self, file: Path) -> None:
        """Nothing to do: the folder is read, and files are compared, at every generation."""

    def checkpoint_saved(self, file: Path) -> None:
        """Nothing to do: the folder is read whenever the list is asked for."""

    def loras(self) -> list[str]:
        """Names of the LoRAs that a tag can name, sorted."""
        return self._shelf.names()

    def samplers(self) -> list[str]:
        """Names of the samplers, the default first."""
        return samplers.names()

    def presets(self) -> Presets:
        """The block-weight presets as their file says now."""
        return self._presets.current()

    def elements(self) -> Elements:
        """The elemental rules as their file says now."""
        return self._elements.current()

    def generate(
        self,
        request: GenerateRequest,
        progress: Callable[[DrawProgress], None] | None = None,
        interrupt: Callable[[], bool] | None = None,
    ) -> list[Picture]:
        """Draws, saves to `outputs/txt2img` and returns the pictures; waits for its turn.

        Raises:
            UserError: faults of the request, all of them.
        """
        with self._lock, restored(self._loaded):
            asked = complete(request, self._loaded)
            with closing(self._draw(asked, Watch(progress, interrupt), self._live)) as pictures:
                return [self._save(picture, asked.seed + i) for i, picture in enumerate(pictures)]

    def _preview(self, request: PreviewRequest) -> Picture:
        """Draws one picture inside a turn, where the lock is held and the adapters are on already; not saved."""
        values = {field.name: getattr(request, field.name) for field in fields(PreviewRequest)}
        asked = complete(GenerateRequest(**values), self._loaded)
        live = self._live and replace(self._live, attached=True)
        with closing(self._draw(asked, Watch(), live)) as pictures:
            return next(pictures)

    def _draw(self, asked: GenerateRequest, watch: Watch, live: Live | None) -> Generator[Picture, None, None]:
        meanings = Meanings(self.presets(), self.elements())
        return draw(asked, self._loaded, self._model_hash(), self._shelf, meanings, watch, live)

    def _save(self, picture: Picture, seed: int) -> Picture:
        return replace(picture, file=save_png(picture.image, picture.infotext, self._paths.outputs / "txt2img", seed))

    def _model_hash(self) -> str:
        """First 10 digits of the checkpoint's SHA-256, as WebUIs show it; read once per file, "" when it is gone."""
        identity, path = self._loaded.identity, self._loaded.checkpoint.path
        if identity not in self._hashes and path is not None and path.is_file():
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
            self._hashes[identity] = digest.hexdigest()[:10]
        return self._hashes.get(identity, "")
