"""The port of a host whose page is ours: it draws for txt2img too. A WebUI draws through its own tab instead."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lib_trainer.host import Host
from lib_trainer.host_model import Picture, PreviewRequest

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class GenerateRequest(PreviewRequest):
    """What txt2img asks of a host that draws by our page (the embedded one).

    Attributes:
        seed: seed of the first picture, picture i has `seed + i`; -1 = a random one.
        batch_size: pictures drawn at once. `batch_count`: how many such batches, one after the other.
    """

    seed: int = -1
    batch_size: int = 1
    batch_count: int = 1


@dataclass(frozen=True)
class DrawProgress:
    """How far a generation is: `step` of `steps` of all its batches together; `image` a rough look, where cheap."""

    step: int
    steps: int
    image: Image | None = None


class Txt2ImgHost(Host, Protocol):
    """A host whose page is ours: it draws for txt2img too (a WebUI draws through its own tab)."""

    def generate(
        self,
        request: GenerateRequest,
        progress: Callable[[DrawProgress], None] | None = None,
        interrupt: Callable[[], bool] | None = None,
    ) -> list[Picture]:
        """Draws, saves the pictures with their infotext and returns them; waits for the model's next free turn.

        Args:
            request: what to draw.
            progress: told after every sampling step.
            interrupt: asked after every sampling step; when it says True the finished pictures are returned.

        Raises:
            UserError: an unknown sampler, a size that is no multiple of 8 ...
        """
        ...

    def load_model(self, path: Path) -> None:
        """Loads another checkpoint between two generations or turns; when that fails the present one stays.

        Raises:
            UserError: the checkpoint cannot be used.
        """
        ...

    def loras(self) -> list[str]:
        """Names of the LoRA files that a tag can name, sorted."""
        ...
