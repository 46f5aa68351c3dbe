"""reForge's model and LoRAs, for `WebUIHost`: see `webui.backend.Backend` for every method's contract."""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError
from lib_trainer.host_model import Checkpoint, HostModel, Picture, PreviewRequest, Target
from lib_trainer.hosts.reforge.weights import AppliedPatches, forget_lora
from lib_trainer.hosts.webui import lora_files
from lib_trainer.hosts.webui.backend import Backend, Weighted, is_float8

if TYPE_CHECKING:
    from lib_trainer.hosts.reforge.loaded import Loaded


def make() -> Backend:
    """Returns reForge's backend; looks at nothing yet."""
    return ReforgeBackend()


class ReforgeBackend:
    """`Backend` over reForge's modules."""

    name = "reForge"

    def __init__(self) -> None:
        self._patches = AppliedPatches()

    def checkpoint(self) -> Checkpoint:
        """Facts of the model in memory."""
        return _loaded().checkpoint

    def identity(self) -> Hashable:
        """What tells the loaded checkpoint from any other."""
        from lib_trainer.hosts.reforge import loading

        return loading.identity()

    def obstacles(self) -> list[str]:
        """What of the present settings forbids training."""
        from lib_trainer.hosts.reforge import obstacles

        return obstacles.found()

    fp8_option = "Start reForge with --unet-in-fp8-e4m3fn."
    moves_networks = True

    def stores_in_fp8(self) -> bool | None:
        """Whether the U-Net in memory is stored in 8 bits; None while none is loaded."""
        from lib_trainer.hosts.reforge.loaded import in_memory

        model = in_memory()
        return None if model is None else is_float8(model.forge_objects_original.unet.model.get_dtype())

    @contextmanager
    def borrowed(self, draw: Callable[[PreviewRequest], Picture]) -> Iterator[HostModel]:
        """Lends the model in memory.

        Raises:
            UserError: a setting that forbids training was switched on.
        """
        from lib_trainer.hosts.reforge.model import ReforgeModel

        if found := self.obstacles():
            raise UserError(" ".join(found))
        with ReforgeModel(_loaded(), draw).turn() as model:
            yield model

    @contextmanager
    def live_targets(self) -> Iterator[Sequence[Target]]:
        """The layers of the model that draws: every patcher has the same network, so hooks are all it takes."""
        loaded = _loaded()
        yield [*loaded.targets(), *loaded.other_targets()]

    def load(self, path: Path) -> None:
        """Has reForge choose and load a checkpoint."""
        from lib_trainer.hosts.reforge import loading

        loading.load(path)

    def forget_lora(self, path: Path) -> None:
        """Drops what reForge remembers of a LoRA file."""
        forget_lora(path)

    def unknown_loras(self, names: Sequence[str]) -> list[str]:
        """Names that no LoRA file has; reForge would use none of the prompt's LoRAs because of them."""
        return lora_files.unknown(names)

    def weigh(self, processing: Any, loras: Sequence[Weighted]) -> list[str]:
        """Gives the LoRAs of the prompt their block weights."""
        return self._patches.weigh(processing.sd_model, loras, self.checkpoint().family.arch)

    def switch(self, processing: Any, loras: Sequence[Weighted]) -> None:
        """Gives the U-Net that draws other patches, and merges them."""
        self._patches.switch(processing.sd_model, loras, self.checkpoint().family.arch)

    def unweigh(self, processing: Any) -> None:
        """Undoes `weigh` after the picture."""
        self._patches.put_back()


def _loaded() -> Loaded:
    """Looks at the host's model.

    Raises:
        UserError: none is loaded, or it is of a kind that cannot be trained.
    """
    from lib_trainer.hosts.reforge.loaded import Loaded, require_in_memory

    return Loaded(require_in_memory())
