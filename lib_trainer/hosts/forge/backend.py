"""Forge's model and LoRAs, for `WebUIHost`: see `webui.backend.Backend` for every method's contract."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from lib_trainer.host_model import Checkpoint, HostModel, Picture, PreviewRequest, Target
from lib_trainer.hosts.forge import loading
from lib_trainer.hosts.forge.weights import AppliedPatches, forget_lora
from lib_trainer.hosts.webui import checkpoints, lora_files
from lib_trainer.hosts.webui.backend import Backend, Weighted, is_float8

if TYPE_CHECKING:
    from lib_trainer.hosts.forge.loaded import Loaded
    from lib_trainer.hosts.forge.placement import Placement


def make() -> Backend:
    """Returns Forge's backend; looks at nothing yet."""
    return ForgeBackend()


class ForgeBackend:
    """`Backend` over Forge's modules."""

    name = "Forge"

    def __init__(self) -> None:
        self._patches = AppliedPatches()
        # by the host's own object and weakly: a model that Forge unloads must not stay in memory for our sake
        self._known: WeakKeyDictionary[Any, tuple[Loaded, Placement]] = WeakKeyDictionary()

    def checkpoint(self) -> Checkpoint:
        """Facts of the chosen checkpoint, from the model where it is in memory, else from the file."""
        engine = loading.in_memory()
        return checkpoints.peek(loading.chosen_file()) if engine is None else self._parts(engine)[0].checkpoint

    def identity(self) -> str:
        """What tells the chosen checkpoint from any other."""
        return loading.identity()

    def obstacles(self) -> list[str]:
        """What of the present settings forbids training."""
        from lib_trainer.hosts.forge import obstacles

        return obstacles.found()

    fp8_option = "Set 'Diffusion in Low Bits' at the top of the page to a float8 kind and draw one picture."
    moves_networks = True

    def stores_in_fp8(self) -> bool | None:
        """Whether the U-Net in memory is stored in 8 bits; None while none is loaded."""
        engine = loading.in_memory()
        return None if engine is None else is_float8(engine.forge_objects_original.unet.model.storage_dtype)

    @contextmanager
    def borrowed(self, draw: Callable[[PreviewRequest], Picture]) -> Iterator[HostModel]:
        """Lends the chosen checkpoint's model, loaded by Forge when it is not in memory."""
        from lib_trainer.hosts.forge import obstacles
        from lib_trainer.hosts.forge.model import ForgeModel

        engine = loading.chosen_model()
        obstacles.require_trainable(engine)
        with ForgeModel(*self._parts(engine), draw).turn() as model:
            yield model

    @contextmanager
    def live_targets(self) -> Iterator[Sequence[Target]]:
        """The layers of the model that draws; Forge reads them as they are, so hooks are all it takes."""
        loaded = self._parts(loading.chosen_model())[0]
        yield [*loaded.targets, *loaded.other_targets()]

    def load(self, path: Path) -> None:
        """Has Forge choose and load a checkpoint."""
        loading.load(path)

    def forget_lora(self, path: Path) -> None:
        """Drops what Forge remembers of a LoRA file."""
        forget_lora(path)

    def unknown_loras(self, names: Sequence[str]) -> list[str]:
        """Names that no LoRA file has; Forge would use none of the prompt's LoRAs because of them."""
        return lora_files.unknown(names)

    def weigh(self, processing: Any, loras: Sequence[Weighted]) -> list[str]:
        """Gives the LoRAs of the prompt their block weights."""
        from modules import shared

        return self._patches.weigh(shared.sd_model, loras, self.checkpoint().family.arch)

    def switch(self, processing: Any, loras: Sequence[Weighted]) -> None:
        """Gives the U-Net that draws other patches, and merges them."""
        from modules import shared

        self._patches.switch(shared.sd_model, loras, self.checkpoint().family.arch)

    def unweigh(self, processing: Any) -> None:
        """Undoes `weigh` after the picture."""
        self._patches.put_back()

    def _parts(self, engine: Any) -> tuple[Loaded, Placement]:
        from lib_trainer.hosts.forge.loaded import Loaded
        from lib_trainer.hosts.forge.placement import Placement

        if engine not in self._known:
            self._known[engine] = Loaded(engine), Placement()
        return self._known[engine]
