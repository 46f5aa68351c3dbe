"""Where the networks of the embedded host are: on its device, or in main memory while a run does without them.

With `economy` on, whoever is about to use a network brings it, and the others move to main memory: the VAE after
caching, the encoders once captions are cached, the U-Net while pictures are encoded or decoded. A generation between
two turns goes the same way, so nothing has to be known of phases. Moving swaps a parameter's data and keeps the
parameter: hooks and flags stay.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

UNET, VAE, TEXT = "unet", "vae", "text"
"""Names of the parts."""

_REST = torch.device("cpu")


class Placement:
    """Moves parts of a model between the device and main memory."""

    def __init__(
        self, device: torch.device, parts: Mapping[str, Sequence[torch.nn.Module]], are_there: bool = True
    ) -> None:
        """Takes parts that all are on the device, or all in main memory."""
        self._device = device
        self._parts = dict(parts)
        self._there = set(parts) if are_there else set()
        self._is_saving = False

    @property
    def parts(self) -> list[str]:
        """Names of all parts."""
        return list(self._parts)

    @property
    def there(self) -> frozenset[str]:
        """Names of the parts that are on the device."""
        return frozenset(self._there)

    @contextmanager
    def economy(self, fits: bool = True) -> Iterator[None]:
        """While open, only what is brought is on the device; afterwards everything is again, where it `fits`."""
        self._is_saving = True
        try:
            yield
        finally:
            self._is_saving = False
            if fits:
                self.bring(*self._parts)

    def rest(self) -> None:
        """Moves everything to main memory, until it is brought."""
        self._move(self._there, _REST)
        self._there = set()

    def bring(self, *names: str) -> None:
        """Makes sure that parts are on the device; with economy on, the others leave it first."""
        if self._is_saving:
            self._move(self._there - set(names), _REST)
        self._move(set(names) - self._there, self._device)
        self._there = set(names) | (set() if self._is_saving else self._there)

    def _move(self, names: set[str], where: torch.device) -> None:
        for name in names:
            for network in self._parts[name]:
                network.to(where)
