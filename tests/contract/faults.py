"""Points at which a whole training can go wrong, and what can go wrong there.

A run on a `WatchedHost` passes named points: pictures read, captions and latents encoded, the U-Net before, inside and
after its forward pass, the middle of backward, the update, a save, a preview. An `Injector` counts them and makes one
of them raise, or lets the person press Stop there. Nothing is replaced: every call goes on to the real thing.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.data.caches import latent_cache
from lib_trainer.data.scanning import gathering, verify
from lib_trainer.host import Host, Lease
from lib_trainer.host_model import Conditioning, HostModel, Picture, PreviewRequest
from lib_trainer.keeping import AS_IT_IS, Keeping
from lib_trainer.lora import whole
from lib_trainer.training.learning.learner import Learner


class Accident(Exception):
    """A bug of some library."""


def raise_accident() -> None:
    """What a bug does."""
    raise Accident("an accident")


def run_out_of_memory() -> None:
    """What a full card does."""
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


class Injector:
    """Counts points; one of them is the accident's.

    Attributes:
        points: names of the points that were passed.
    """

    def __init__(self, at: int | None = None, accident: Callable[[], None] = raise_accident) -> None:
        """Starts counting.

        Args:
            at: the point, counted from 0, at which the accident happens; None = nowhere.
            accident: what happens.
        """
        self.points: list[str] = []
        self._at, self._accident = at, accident
        self._lock = threading.Lock()

    def point(self, name: str) -> None:
        """Passes a point."""
        with self._lock:
            self.points.append(name)
            here = len(self.points) - 1 == self._at
        if here:
            self._accident()

    def watch_trainer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Passes points where the trainer reads, updates and writes."""
        for place, function, name in (
            (gathering, "read_size", "scan"), (verify, "open_rgb", "pictures"),
            (latent_cache, "load_picture", "load pixels"),
            (Learner, "update", "update"), (whole, "_publish", "save"),
        ):
            monkeypatch.setattr(place, function, self._passing(getattr(place, function), name))

    def _passing(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def passing(*arguments: Any, **named: Any) -> Any:
            self.point(name)
            return function(*arguments, **named)

        return passing


class WatchedHost:
    """A host whose leases watch their turns; everything else is the host's own."""

    def __init__(self, host: Host, injector: Injector, between: Callable[[HostModel], None] | None = None) -> None:
        """Wraps a host.

        Args:
            host: the host.
            injector: passed at every point inside a turn.
            between: called after every turn, when the host's lock is free again, with the model of the turn.
        """
        self._host, self._injector, self._between = host, injector, between

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    @contextmanager
    def borrow_model(self, base: Path | None = None, keeping: Keeping = AS_IT_IS) -> Iterator[WatchedLease]:
        with self._host.borrow_model(base, keeping) as lease:
            yield WatchedLease(lease, self._injector, self._between)


class WatchedLease:
    """A lease that watches its turns."""

    def __init__(self, lease: Lease, injector: Injector, between: Callable[[HostModel], None] | None) -> None:
        self._lease, self._injector, self._between = lease, injector, between

    @contextmanager
    def turn(self) -> Iterator[WatchedModel]:
        with self._lease.turn() as model:
            yield WatchedModel(model, self._injector)
        if self._between:
            self._between(model)

    def close(self) -> None:
        self._lease.close()


class WatchedModel:
    """A model that passes points around its own methods."""

    def __init__(self, model: HostModel, injector: Injector) -> None:
        self._model, self._injector = model, injector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self._injector.point("encode images")
        return self._model.encode_images(pixels)

    def encode_captions(self, *arguments: Any, **named: Any) -> Conditioning:
        self._injector.point("encode captions")
        return self._model.encode_captions(*arguments, **named)

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        self._injector.point("forward")
        with self._inside("inside forward"):
            predicted = self._model.predict(noisy, timesteps, cond)
        if predicted.requires_grad:
            predicted.register_hook(lambda gradient: self._injector.point("backward"))
        return predicted

    def preview(self, request: PreviewRequest) -> Picture:
        self._injector.point("preview")
        with self._inside("inside preview"):
            return self._model.preview(request)

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        """Passes a point at every run of a layer in the middle of the U-Net."""
        layers = [target for target in self._model.targets() if target.name.startswith("lora_unet_")]
        hook = layers[len(layers) // 2].module.register_forward_hook(lambda *_: self._injector.point(name))
        try:
            yield
        finally:
            hook.remove()
