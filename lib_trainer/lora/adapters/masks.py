"""What is left out at random in one turn of training.

Nothing here keeps a state: a mask is a function of the turn's number, the layer's name and the shape. So gradient
checkpointing, which runs a layer a second time, meets the same mask, and a step that is done again (a resumed run) is
the same to the bit.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.lora.adapters.form import Dropout


@dataclass(frozen=True)
class Masks:
    """The masks of one turn.

    Attributes:
        number: what all masks of the turn are drawn from.
        dropout: how much is left out.
    """

    number: int
    dropout: Dropout

    @classmethod
    def draw(cls, generator: torch.Generator, dropout: Dropout) -> Masks:
        """Takes a turn's number from a generator that belongs to the turn (CPU)."""
        return cls(int(torch.randint(2**62, (), generator=generator)), dropout)

    def drops(self, layer: str) -> bool:
        """Whether a layer is left out in this turn."""
        if not self.dropout.module:
            return False
        return float(torch.rand((), generator=self._generator("module", layer))) < self.dropout.module

    def pick(self, layer: str, count: int) -> int:
        """Returns a number below `count` for a layer."""
        return int(torch.randint(count, (), generator=self._generator("pick", layer)))

    def thin(self, layer: str, hidden: Tensor) -> Tensor:
        """Leaves out entries and ranks of a thin activation.

        Args:
            layer: its name.
            hidden: (B, ..., rank), or (B, rank, H, W) of a convolution.
        """
        if self.dropout.network:
            keep = 1.0 - self.dropout.network
            hidden = hidden * (self._uniform("network", layer, hidden.shape, hidden.device) < keep) / keep
        if self.dropout.rank:
            axis = 1 if hidden.dim() == 4 else -1
            shape = [1] * hidden.dim()
            shape[0], shape[axis] = hidden.shape[0], hidden.shape[axis]
            keep = 1.0 - self.dropout.rank
            kept = torch.rand(shape, generator=self._generator("rank", layer)) < keep
            hidden = hidden * kept.to(hidden.device) / keep
        return hidden

    def rows(self, layer: str, change: Tensor) -> Tensor:
        """Leaves out rows of the change of a weight (outputs, ...), as LyCORIS does, the rest times 1/(1-p)."""
        if not self.dropout.rank:
            return change
        keep = 1.0 - self.dropout.rank
        shape = (change.shape[0], *(1 for _ in change.shape[1:]))
        kept = torch.rand(shape, generator=self._generator("rank", layer)) < keep
        return change * kept.to(change.device) / keep

    def _uniform(self, purpose: str, layer: str, shape: torch.Size, device: torch.device) -> Tensor:
        """Draws on the card where the activation is on one: it is big, and a copy of it would hold every layer up."""
        if device.type != "cuda":
            return torch.rand(shape, generator=self._generator(purpose, layer)).to(device)
        generator = torch.Generator(device).manual_seed(seeds.derive(self.number, purpose, layer))
        return torch.rand(shape, generator=generator, device=device)

    def _generator(self, purpose: str, layer: str) -> torch.Generator:
        return seeds.torch_generator(self.number, purpose, layer)
