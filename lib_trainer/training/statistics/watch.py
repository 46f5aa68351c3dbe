"""What the losses of a run tell: which timesteps are learned, which pictures stand out, whether it runs away.

A raw loss says little, since it depends on the timestep far more than on anything else. So losses are kept by bands of
timesteps, and a picture's losses are divided by what its bands have on average: 1 is as usual, and a picture that stays
at 1.5 is one that the model cannot predict from its caption, mostly because a tag is wrong. The tables take 160 bytes a
picture, 8 MB for fifty thousand, and are part of what a resumed run goes on with.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lib_trainer.data.item import Item

BANDS = 20
_TIMESTEPS = 1000
_SHOWN_UNTIL, _SHOWN_EVERY = 160, 200
"""Statistics are written after 10, 20, 40, 80, 160 updates and then after every 200."""

_RECENT = 0.95
"""Share of the former value in the running mean of the normalised loss: about the last 20 updates."""

_SETTLED, _RUN_AWAY = 50, 3.0
"""A run has run away when, after so many updates, its recent losses are so many times what its timesteps had before."""


SCALE_EVERY = 50
"""Updates between two looks at the factor of fp16 losses, since each waits for the device."""

_LOWEST_SCALE = 1.0
"""Sixteen updates more were lost than the factor has recovered from."""


@dataclass(frozen=True)
class Band:
    """Timesteps from `first` up to, not including, `last`: mean loss and number of samples."""

    first: int
    last: int
    loss: float
    count: int


@dataclass(frozen=True)
class Watched:
    """A picture: its loss as a multiple of what its timesteps have on average (0 before its first use), its uses."""

    item: Item
    loss: float
    uses: int


@dataclass(frozen=True)
class Seen:
    """The samples of one update.

    Attributes:
        keys: of their pictures. timesteps: of each. losses: of each, before all weights.
    """

    keys: Sequence[str]
    timesteps: Sequence[int]
    losses: Sequence[float]


def due(step: int, total: int) -> bool:
    """Whether the statistics are written after an update: often at first, later every 200, and at the end."""
    if step < _SHOWN_UNTIL * 2:
        return step in (total, *(_SHOWN_UNTIL >> shift for shift in range(5)))
    return step == total or step % _SHOWN_EVERY == 0


class Watch:
    """The losses of a run by timestep and by picture."""

    def __init__(self, items: Iterable[Item]) -> None:
        """Makes empty tables.

        Args:
            items: the pictures that are trained on. Regularisation pictures and those that keep the base are left out:
                their losses are of another kind.
        """
        self._items = {item.key: item for item in items if not item.is_reg and not item.subset.keeps_base}
        self._rows = {key: row for row, key in enumerate(self._items)}
        self._sums: NDArray[np.float32] = np.zeros((len(self._items), BANDS), np.float32)
        self._uses: NDArray[np.int32] = np.zeros((len(self._items), BANDS), np.int32)
        self._totals: NDArray[np.float64] = np.zeros(BANDS, np.float64)
        self._counts: NDArray[np.int64] = np.zeros(BANDS, np.int64)
        self._updates, self._recent, self._told, self._scale_told = 0, 1.0, False, False

    def see(self, seen: Seen) -> str:
        """Takes the samples of an update in; returns a sentence, once, when the loss has run away."""
        ratios = []
        for key, timestep, loss in zip(seen.keys, seen.timesteps, seen.losses, strict=True):
            row = self._rows.get(key)
            if row is None:
                continue
            band = timestep * BANDS // _TIMESTEPS
            if self._totals[band] > 0:
                ratios.append(loss * self._counts[band] / self._totals[band])
            self._sums[row, band] += loss
            self._uses[row, band] += 1
            self._totals[band] += loss
            self._counts[band] += 1
        self._updates += 1
        if ratios:
            self._recent = _RECENT * self._recent + (1 - _RECENT) * float(np.mean(ratios))
        if self._told or self._updates < _SETTLED or self._recent < _RUN_AWAY:
            return ""
        self._told = True
        return (f"The loss has risen to {self._recent:.1f} times what the same timesteps had before: the learning rate "
                "is probably too high. Stop, and go on from a file saved before with a third of it.")

    def see_scale(self, scale: float) -> str:
        """Looks at the factor of fp16 losses, which is halved at every lost update; returns a sentence, once.

        It begins at 65,536, and some halvings are how it finds its value (Micikevicius et al. 2018, section 3.2).
        """
        if self._scale_told or scale >= _LOWEST_SCALE:
            return ""
        self._scale_told = True
        return ("Gradients overflow in fp16 again and again, so many updates are left out and little is learned: "
                "choose bf16 (or fp32) as precision; a lower learning rate may help, too.")

    @property
    def bands(self) -> list[Band]:
        """The bands that have been trained on, by timestep."""
        width = _TIMESTEPS // BANDS
        return [Band(band * width, (band + 1) * width, float(self._totals[band] / count), int(count))
                for band, count in enumerate(self._counts) if count]

    @property
    def pictures(self) -> list[Watched]:
        """All pictures, in the order they were given."""
        means = self._totals / np.maximum(self._counts, 1)
        # Where every loss of a band is 0 there is nothing to compare.
        weights = np.divide(1.0, means, out=np.zeros(BANDS), where=means > 0)
        uses = self._uses.sum(axis=1)
        losses = (self._sums.astype(np.float64) @ weights) / np.maximum(uses, 1)
        return [Watched(item, float(loss) if math.isfinite(loss) else 0.0, int(count))
                for item, loss, count in zip(self._items.values(), losses, uses, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Returns the tables, which share their memory with this object."""
        return {
            "sums": torch.from_numpy(self._sums), "uses": torch.from_numpy(self._uses),
            "totals": torch.from_numpy(self._totals), "counts": torch.from_numpy(self._counts),
            "updates": self._updates, "recent": self._recent, "told": self._told, "scale_told": self._scale_told,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with the tables of a run with the same pictures."""
        for name, table in (("sums", self._sums), ("uses", self._uses), ("totals", self._totals),
                            ("counts", self._counts)):
            table[...] = state_dict[name].numpy()
        self._updates, self._recent = int(state_dict["updates"]), float(state_dict["recent"])
        self._told, self._scale_told = bool(state_dict["told"]), bool(state_dict["scale_told"])
