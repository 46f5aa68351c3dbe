"""What is done with the data before the first step: every picture is decoded once, latents and text states are cached.

All of it tells how far it is, can be stopped, and waits while the host has another model loaded; what was cached by
then stays. What would not fit into memory is refused before it is begun.
"""
from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import torch

from lib_trainer.data.caches import cache_files, cache_folder
from lib_trainer.data.caches.cache_folder import CacheSize
from lib_trainer.data.caches.latent_cache import LatentCache
from lib_trainer.data.caches.text_cache import TextCache
from lib_trainer.data.item import Item
from lib_trainer.data.loading import Loader
from lib_trainer.data.masks import MaskFolders
from lib_trainer.data.sample import Placed
from lib_trainer.data.scanning.gathering import Skipped
from lib_trainer.data.scanning.known_files import KnownFiles, forget
from lib_trainer.data.scanning.verify import Progress, verify
from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.host import HostPaths
from lib_trainer.host_model import HostModel
from lib_trainer.training.checks import caches
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Cached, Event, Warned
from lib_trainer.training.forward_pass import chunks
from lib_trainer.training.run import Run, patiently

_OFTEN = 0.5
"""Seconds between two events of caching."""

_PROBES = ("", "a", "1girl, solo, zunko, (masterpiece:1.2), 日本語 of a cat\\(animal\\)")
"""Captions by whose states text encoders are told apart."""

_SAMPLED = 256
"""Weights of every layer of the text encoders that are looked at."""


def latents_folder(paths: HostPaths) -> Path:
    """Returns where latents are kept for later runs."""
    return paths.cache / "latents"


def captions_folder(paths: HostPaths) -> Path:
    """Returns where text states are kept for later runs."""
    return paths.cache / "captions"


_FOLDERS = {"latents": latents_folder, "captions": captions_folder}


def sizes(paths: HostPaths) -> dict[str, CacheSize]:
    """Returns what lies in the caches on the disk, by kind: latents and captions."""
    return {kind: cache_folder.measure(folder(paths)) for kind, folder in _FOLDERS.items()}


def clear(paths: HostPaths, kind: str = "all") -> dict[str, CacheSize]:
    """Empties caches on the disk; returns what was removed, by kind.

    Args:
        paths: of the host.
        kind: "latents", "captions", or "all", which forgets also which pictures were read before.

    Raises:
        UserError: no such kind, or a file cannot be removed.
    """
    if kind not in (*_FOLDERS, "all"):
        raise UserError(f"There is no cache of {kind!r}: name latents, captions or all.")
    if kind == "all":
        forget(known_files(paths))
    return {name: cache_folder.clear(folder(paths)) for name, folder in _FOLDERS.items() if kind in (name, "all")}


def known_files(paths: HostPaths) -> Path:
    """Returns where is kept which files were read before."""
    return paths.cache / "pictures.sqlite"


def verified(items: Sequence[Item], controls: Controls, paths: HostPaths) -> Generator[Event, None, list[Skipped]]:
    """Decodes every picture that was not decoded before; returns the broken ones."""
    broken: list[Skipped] = []
    shown = _Throttle()
    with closing(KnownFiles(known_files(paths))) as known:
        for at in verify([item for item in items if item.is_picture], lambda: bool(controls.stopping), known):
            if at.skipped:
                broken.append(at.skipped)
                yield Warned(f"{at.skipped.path} is not used: {at.skipped.reason}.")
            if event := shown.event(at):
                yield event
    return broken


def filled(state: Run, captions: Sequence[str], text_encoder_learns: bool) -> Generator[Event, None, Loader]:
    """Fills the caches that the settings ask for; returns what reads batches from them.

    Args:
        state: the run.
        captions: every caption that can occur, of those that do not vary.
        text_encoder_learns: whether text states change during the run.

    Raises:
        UserError: the caches do not fit into memory, a picture is gone, the VAE overflows, the disk is full.
    """
    masks = MaskFolders()
    has_pictures = any(picture.item.is_picture for picture in state.plan.pictures)
    latents = (yield from _latents(state, masks)) if state.config.cache_latents and has_pictures else None
    # Captions that vary are encoded at every use, those beside them (of another subset, for validation) come from here.
    cached = state.config.cache_captions and not text_encoder_learns and captions
    texts = (yield from _texts(state, captions)) if cached else None
    return Loader(latents, texts, masks)


def _latents(state: Run, masks: MaskFolders) -> Generator[Event, None, LatentCache]:
    config, pictures = state.config, [*state.plan.pictures, *state.plan.partners, *state.held_out.pictures]
    for warning in caches.memory(config, pictures):
        yield Warned(warning)
    folder = _swept(latents_folder(state.host.paths)) if config.cache_to_disk else None
    vae = (yield from patiently(state.controls, 0, lambda: _in_turn(state, vae_digest))) if folder else ""
    with closing(KnownFiles(known_files(state.host.paths))) as known:
        cache = LatentCache(config.seed, folder=folder, vae=vae or "", masks=masks, known=known)
        for share in _shares(state, pictures, folder):
            yield from _advanced(state, partial(
                cache.fill, share, state.turn, config.vae_batch_size, lambda: bool(state.controls.stopping)))
    yield from _damaged(cache.damaged)
    return cache


def _texts(state: Run, captions: Sequence[str]) -> Generator[Event, None, TextCache]:
    config = state.config
    folder = _swept(captions_folder(state.host.paths)) if config.cache_captions_to_disk else None
    encoder = None
    if folder:
        encoder = yield from patiently(
            state.controls, 0, lambda: _in_turn(state, lambda model: encoder_digest(model, config.clip_skip)))
    cache = TextCache(clip_skip=config.clip_skip, chunks=chunks(config), weighted=config.weighted_captions,
                      folder=folder, encoder=encoder or "")
    asked = False

    def fill() -> Iterator[Progress]:
        return cache.fill(captions, state.turn, stopping=lambda: bool(state.controls.stopping))

    for event in _advanced(state, fill):
        if not folder and not asked and cache.bytes_each:
            # How big one caption's states are is known when the first ones are there.
            asked = True
            needed = cache.bytes_each * len(captions)
            for warning in caches.fits(needed, f"the cached states of {len(captions)} captions", "Keep the caption "
                                       "cache"):
                yield Warned(warning)
        yield event
    yield from _damaged(cache.damaged)
    return cache


def _swept(folder: Path) -> Path:
    """Returns the folder after removing what killed programs have left in it."""
    cache_folder.sweep(folder)
    return folder


def _shares(state: Run, pictures: Sequence[Placed], folder: Path | None) -> Iterator[Sequence[Placed]]:
    """Yields what this process is to encode, then everything; several processes find each other's files on the disk."""
    if folder and state.world.size > 1:
        yield pictures[state.world.rank :: state.world.size]
        state.world.gather(None)  # all have done their share
    yield pictures


def _in_turn(state: Run, ask: Callable[[HostModel], str]) -> str:
    with state.turn() as model:
        return ask(model)


def _damaged(files: Sequence[Path]) -> Iterator[Event]:
    if files:
        yield Warned(f"{len(files)} files of the cache were damaged and have been made anew, such as {files[0]}.")


def _advanced(state: Run, fill: Callable[[], Iterator[Progress]]) -> Iterator[Event]:
    """Runs a filling to its end; begun anew when the host's model was away (what is there stays)."""
    shown = _Throttle()
    progress = fill()

    def advance() -> Progress | str:
        nonlocal progress
        try:
            return next(progress, "")
        except ModelChanged:
            progress = fill()
            raise

    while at := (yield from patiently(state.controls, 0, advance)):
        if isinstance(at, Progress):
            if at.skipped:  # it was whole a moment ago
                raise UserError(f"The picture {at.skipped.path} can no longer be used: {at.skipped.reason}. Mend it "
                                "and start again.")
            if event := shown.event(at):
                yield event


def vae_digest(model: HostModel) -> str:
    """Returns what tells this VAE from any other: a digest of how it encodes a fixed picture. Call it in a turn."""
    ramp = torch.linspace(-1.0, 1.0, 64)
    picture = torch.stack([ramp.expand(64, 64), ramp.expand(64, 64).T, ramp.flip(0).expand(64, 64)])
    mean, std = model.encode_images(picture[None])
    return _rounded(torch.cat([mean, std]))


def encoder_digest(model: HostModel, clip_skip: int) -> str:
    """Returns what tells these text encoders from any others. Call it in a turn, with the adapters of the run attached.

    How they encode some captions tells a changed embedding or adapter, some weights of every layer a finer change.
    """
    with torch.no_grad():
        states = model.encode_captions(list(_PROBES), clip_skip=clip_skip)
    found = [_rounded(states.hidden), "" if states.pooled is None else _rounded(states.pooled)]
    is_text = model.checkpoint.family.is_text_layer
    for target in model.targets():
        weight = target.module.weight
        if is_text(target.name) and isinstance(weight, torch.Tensor):
            found += [target.name, _hashed(_sampled(weight))]
    return cache_files.digest("encoder", *found)


def _sampled(weight: torch.Tensor) -> torch.Tensor:
    flat = weight.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // _SAMPLED)].float().cpu()


def _rounded(numbers: torch.Tensor) -> str:
    # Rounded, so that the last bits, which differ between cards and threads, do not matter.
    return _hashed((numbers.detach().float().cpu() * 100).round().to(torch.int32))


def _hashed(numbers: torch.Tensor) -> str:
    return hashlib.sha256(numbers.contiguous().numpy().tobytes()).hexdigest()


class _Throttle:
    """Turns the progress of a pass over the data into an event now and then."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()

    def event(self, at: Progress) -> Cached | None:
        """Returns an event for the last unit and for one unit every half second."""
        now = time.monotonic()
        if at.done < at.total and now - self._last < _OFTEN:
            return None
        self._last = now
        return Cached(at.what, at.done, at.total, at.done / max(now - self._start, 1e-9))
