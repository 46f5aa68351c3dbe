"""The port of a host: what a program must offer so that its model can be trained on.

A `Host` lends its model through a `Lease`. A lease gives turns: `with lease.turn() as model:` is exclusive use of
clean, trainable weights for one step, one batch of caching or one preview. Leaving a turn restores the host, so a
generation pressed during training waits for one turn at most and draws on clean weights. Nothing here imports a host.

What every lease guarantees (tests/contract runs the same suite over all hosts): the weights are shared, never copied,
and bit-identical afterwards on every way out, and so is the host's next image of the same seed; no LoRA stays merged,
no hook or patch stays behind; `requires_grad`, train mode, device and dtype are as found; the process-wide random
generators are neither read nor advanced.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lib_trainer.host_model import Checkpoint, HostModel, Target
from lib_trainer.keeping import AS_IT_IS, Keeping

if TYPE_CHECKING:
    from lib_trainer.blocks.elements import Elements
    from lib_trainer.blocks.presets import Presets

TRAINING_NAME = "__training__"
"""The LoRA name that stands for the adapters in training, as they are now."""


@dataclass(frozen=True)
class HostPaths:
    """Folders of the host. All exist when the host is ready.

    Attributes:
        loras: where LoRA files are found by name, and saved.
        outputs: where pictures go; a job's folder (previews, log, config) is `outputs/train-lora/<name>`.
        settings: where this extension keeps its settings, block presets and user files.
        cache: where latent and text caches may be written.
        checkpoints: where checkpoints lie and new ones are written; None = the host cannot tell.
    """

    loras: Path
    outputs: Path
    settings: Path
    cache: Path
    checkpoints: Path | None = None


class LiveNetwork(Protocol):
    """The adapters in training, for prompts that name `TRAINING_NAME`."""

    @property
    def layers(self) -> Mapping[str, object]:
        """The adapted layers by kohya layer name."""

    @property
    def is_attached(self) -> bool:
        """Whether it acts on a model now, as during a preview inside a turn."""

    def attached(
        self, targets: Sequence[Target], multipliers: Mapping[str, float] | None = None
    ) -> AbstractContextManager[object]:
        """While open, acts on the targets with a multiplier per layer; raises RuntimeError when attached already."""

    def set_multipliers(self, multipliers: Mapping[str, float] | None = None) -> None:
        """Sets every layer's multiplier, at once and while attached; a layer that is not named gets 1."""


class JobDisplay(Protocol):
    """How a host shows a training among its own jobs, and passes its Interrupt button on."""

    def show(self, done: int, total: int, text: str) -> None:
        """Says how far the training is; takes effect at once or at the next turn."""

    def stop_asked(self) -> bool:
        """Returns whether the person pressed the host's own Interrupt for this job since the last call."""


class Lease(Protocol):
    """The right to train on the host's model, turn by turn."""

    def turn(self) -> AbstractContextManager[HostModel]:
        """Exclusive use of clean, trainable weights.

        Raises:
            ModelChanged: the host's model is not the one that was leased.
        """

    def close(self) -> None:
        """Gives the lease back; a further turn raises."""


class Host(Protocol):
    """A program that has a diffusion model loaded and draws with it."""

    @property
    def name(self) -> str: ...

    @property
    def lora_namings(self) -> tuple[str, ...]: ...  # words of `workbench.names`: files in these names are read whole

    @property
    def paths(self) -> HostPaths: ...

    def checkpoint(self, base: Path | None = None) -> Checkpoint:
        """The checkpoint loaded now, or the facts of another file that the host could load; takes no lock.

        Raises:
            UserError: no usable checkpoint is loaded, or the file is none.
        """

    def checkpoints(self) -> list[Path]:
        """The checkpoint files that can be loaded, the loaded one among them, sorted by name."""

    def obstacles(self, keeping: Keeping = AS_IT_IS) -> list[str]:
        """Sentences: what of the host's settings or of the wishes forbids training, and the remedy; empty = nothing."""

    def remarks(self, keeping: Keeping) -> list[str]:
        """Sentences: which of the wishes change nothing here, and why."""

    def borrow_model(self, base: Path | None = None, keeping: Keeping = AS_IT_IS) -> AbstractContextManager[Lease]:
        """Lends the loaded model; the lease is closed on the way out, and the model is as it was.

        Args:
            base: a checkpoint that the host loads for the run through its own loader; on the way out the former one is
                loaded again, unless the person has loaded another one meanwhile. None = the loaded one.
            keeping: how the run wants it kept; without wishes the host's weights are shared, never copied.

        Raises:
            UserError: the host cannot load it.
        """

    def job(self, title: str) -> AbstractContextManager[JobDisplay]:
        """While open, the host shows a job of this title as one of its own; ended on every way out."""

    def live(self, network: LiveNetwork) -> AbstractContextManager[None]:
        """While open, `<lora:__training__:...>` in a prompt of the host's own generation means this network."""

    def lora_saved(self, file: Path) -> None:
        """Tells the host that a LoRA file was added or replaced: it is listed, and nothing of a former one is used."""

    def checkpoint_saved(self, file: Path) -> None:
        """Tells the host that a checkpoint file was added: it is listed."""

    def presets(self) -> Presets:
        """The block-weight presets as the file says now."""

    def elements(self) -> Elements:
        """The elemental rules as their file says now."""

    def samplers(self) -> list[str]:
        """Names of the samplers, the default first."""
