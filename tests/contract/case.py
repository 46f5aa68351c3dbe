"""A host under contract: what the tests need beside the port.

That is how to start the host, a look at its networks, and the person's own actions (draw a picture, load another
checkpoint).
"""
from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import torch

from lib_trainer.host import Host

STEPS = 2
"""Of the sampler in every picture here: enough for one step to follow from another."""

_NUMBERS = itertools.count()


class HostCase(ABC):
    """A running host with a small checkpoint.

    Attributes:
        host: the host, with its first checkpoint loaded.
        attention_layers: layers of that checkpoint's U-Net that LierLa adapts. conv_layers: least and greatest number
            of layers that only C3Lier adapts (86 in a true-size SD 1.5; where neighbouring widths are equal a residual
            block has no conv_shortcut).
        tables: of the reference's token ids, for every text encoder the one that it follows (tests/data).
        levels: of 255, how far a picture with live adapters may be from the one with the same adapters of a float32
            file; 0 where the host computes both the same way.
    """

    host: Host
    attention_layers = 192
    conv_layers = (72, 86)
    tables: tuple[str, ...] = ("sd1",)
    levels = 0

    @abstractmethod
    def networks(self) -> Sequence[torch.nn.Module]:
        """The networks in memory: all that training could disturb."""

    @abstractmethod
    def draw(self, prompt: str = "a cat", seed: int = 3) -> bytes:
        """The pixels that the person's own Generate button gives (`STEPS` steps)."""

    def settled(self) -> bytes:
        """Takes out what earlier pictures have left in the model; returns the plain picture's pixels.

        Hosts leave a LoRA merged into the text encoder until they encode without it, and those that keep the text
        states of the last prompt do not encode it again. So a prompt is drawn that was never drawn before.
        """
        self.draw(f"picture {next(_NUMBERS)}")
        return self.draw()

    @abstractmethod
    def load_checkpoint(self, first: bool) -> None:
        """Loads the first checkpoint, or another one."""

    @abstractmethod
    def checkpoint_file(self, first: bool) -> Path:
        """The file of the first checkpoint, or of the other one."""

    @abstractmethod
    def interrupt(self) -> None:
        """What the person's own Interrupt button does."""

    @abstractmethod
    def waiting(self) -> int:
        """How many wait for the host's lock."""

    @abstractmethod
    def states_of(self, ids: Sequence[int], encoder: int = 0) -> torch.Tensor:
        """The text states (77, C) of 77 token ids, of one of the encoders; those that the U-Net is told."""

    @abstractmethod
    def close(self) -> None:
        """Ends the host and takes away what it put in place."""
