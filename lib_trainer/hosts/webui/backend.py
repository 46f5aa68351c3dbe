"""What the WebUIs do each in their own way: their model in memory, and their LoRAs in generation.

`WebUIHost` (host.py) is the same for all of them and asks a `Backend` for the rest. Everything marked "under the lock"
is called while the host's queue lock is held by the caller.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lib_trainer.blocks.resolve import Weights
from lib_trainer.host_model import Checkpoint, HostModel, Picture, PreviewRequest, Target


def is_float8(dtype: object) -> bool:
    """Whether a dtype, or a host's name of it, is one of the float8 kinds."""
    return "float8" in str(dtype)


@dataclass(frozen=True)
class Weighted:
    """A LoRA of the prompt with the block weights that its tag asks for.

    Attributes:
        position: its place among the LoRAs of the prompt, from 0, in the order in which the host got them.
        weights: strengths and block ratios; `ratios` may be None (plain strength).
    """

    position: int
    weights: Weights


class Backend(Protocol):
    """One WebUI's model and LoRAs."""

    @property
    def name(self) -> str:
        """Name of the program, for people."""
        ...

    def checkpoint(self) -> Checkpoint:
        """Facts of the model in memory; never makes the host load one.

        Raises:
            UserError: none is loaded, or it is of a family that cannot be trained.
        """
        ...

    def identity(self) -> Hashable:
        """What tells the loaded checkpoint from any other; the same file loaded again is the same."""
        ...

    def obstacles(self) -> list[str]:
        """Sentences: what of the present settings forbids training, and what to switch off."""
        ...

    def stores_in_fp8(self) -> bool | None:
        """Whether the U-Net in memory is stored in 8 bits; None while none is loaded."""
        ...

    @property
    def fp8_option(self) -> str:
        """Sentence: how to have it so."""
        ...

    @property
    def moves_networks(self) -> bool:
        """Whether the host moves networks to main memory by itself when the card's is short."""
        ...

    def borrowed(self, draw: Callable[[PreviewRequest], Picture]) -> AbstractContextManager[HostModel]:
        """Under the lock: clean, trainable weights while open; everything as found on every way out.

        Args:
            draw: draws through the host's own pipeline, for the model's `preview`. While it runs the model must be as
                the host draws with it, but for the hooks of the adapters.
        """
        ...

    def live_targets(self) -> AbstractContextManager[Sequence[Target]]:
        """Under the lock: the targets of the model as the host draws with it, for hooks of adapters in training."""
        ...

    def load(self, path: Path) -> None:
        """Under the lock: asks the host to load a checkpoint through its own loader.

        Raises:
            UserError: it cannot.
        """
        ...

    def forget_lora(self, path: Path) -> None:
        """Drops whatever the host remembers of this LoRA file, so that the file as it is now is used."""
        ...

    def unknown_loras(self, names: Sequence[str]) -> list[str]:
        """Those of the names that no file has, where the host would then drop all LoRAs of the prompt.

        Empty on a host that draws with the others and tells the person itself.
        """
        ...

    def weigh(self, processing: Any, loras: Sequence[Weighted]) -> list[str]:
        """Gives the LoRAs that the host has just activated their block weights, without editing a tensor.

        Called under the lock right after the host's own activation, in every pass (hires as well), with all LoRAs of
        a prompt of which one at least has an argument of ours. Returns sentences for the picture's comments.
        """
        ...

    def switch(self, processing: Any, loras: Sequence[Weighted]) -> None:
        """In the middle of a pass: has the U-Net draw with these weights from the next call on.

        What `weigh` gave to the text encoder stays as it is. `unweigh` undoes this, too.

        Args:
            processing: as for `weigh`.
            loras: those that `weigh` got, with other weights.
        """
        ...

    def unweigh(self, processing: Any) -> None:
        """Undoes `weigh`, after the picture and before the host's next activation; often there is nothing to undo."""
        ...
