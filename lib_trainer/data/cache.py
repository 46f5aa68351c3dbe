"""Latents and text states that are made once and used in every epoch.

Encoding a picture costs as much as a training step, and a picture is used hundreds of times. Kept is the VAE's
posterior, its mean and standard deviation, so that every use still draws its own sample. Pictures are read and scaled
on threads while the model is free; only the encoding itself takes a turn on the host, one batch at a time. What is in
a cache already is not encoded again, so `fill` can simply be called again after an interruption.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from itertools import groupby
from pathlib import Path

import torch

from lib_trainer.data import cache_files
from lib_trainer.data.dataset import Placed, Sample
from lib_trainer.data.pictures import load_pixels
from lib_trainer.data.verify import Progress, read_ahead
from lib_trainer.errors import UserError
from lib_trainer.host import Conditioning, HostModel

Turn = Callable[[], AbstractContextManager[HostModel]]
"""`Lease.turn`: exclusive use of the model while the context is open."""

Moments = tuple[torch.Tensor, torch.Tensor]
"""Mean and standard deviation of a VAE posterior, float32 on the CPU, not yet scaled."""

_Name = tuple[str, bool]
"""A picture's key, and whether it is mirrored."""

_READERS = 4
_BATCHES_AHEAD = 2


class LatentCache:
    """The posterior moments of all pictures of a run, in memory, or on disk when a folder is given."""

    def __init__(self, *, flip: bool = False, folder: Path | None = None, vae: str = "") -> None:
        """Makes an empty cache.

        Args:
            flip: whether the mirrored pictures are kept too.
            folder: where to keep the latents for later runs; None = in memory only.
            vae: what tells this VAE, at this precision, from any other; matters with a folder.
        """
        self._flips = (False, True) if flip else (False,)
        self._folder, self._vae = folder, vae
        self._memory: dict[_Name, Moments] = {}
        self._files: dict[_Name, Path] = {}
        self._ready: set[_Name] = set()

    def fill(
        self,
        pictures: Sequence[Placed],
        turn: Turn,
        batch_size: int = 1,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[Progress]:
        """Encodes what is missing; yields after every batch of pictures.

        Args:
            pictures: `Plan.pictures`, sorted by bucket.
            turn: gives the model for one batch.
            batch_size: pictures encoded at once, all of one bucket.
            stopping: asked before every turn; when it is true the filling ends early.

        Raises:
            UserError: a picture can no longer be read, the VAE overflows, or the cache folder cannot be written.
            ModelChanged: from the turn; call again when the model is back.
        """
        done = 0
        with closing(read_ahead(_chunks(pictures, batch_size), self._load, _READERS, _BATCHES_AHEAD)) as reading:
            for chunk, loaded in reading:
                for flip in self._flips:
                    missing = [(picture, pixels) for picture, pixels in loaded if not self._has(picture, flip)]
                    if missing and stopping():
                        return
                    if missing:
                        self._encode(missing, flip, turn)
                done += len(chunk)
                yield Progress("latents", done, len(pictures))

    def moments(self, sample: Sample) -> Moments:
        """Returns mean and standard deviation (C, h, w) of one sample's picture."""
        name = (sample.item.key, sample.flip)
        if self._folder is None:
            return self._memory[name]
        found = cache_files.read(self._files[name], sample.placement)
        if found is None:
            raise UserError(f"The cached latents {self._files[name]} of {sample.item.path} are gone or broken: "
                            "leave the cache folder alone during training, and start again.")
        return found

    def batch(self, samples: Sequence[Sample]) -> Moments:
        """Returns mean and standard deviation (B, C, h, w) of one batch."""
        means, stds = zip(*(self.moments(sample) for sample in samples), strict=True)
        return torch.stack(means), torch.stack(stds)

    def _has(self, picture: Placed, flip: bool) -> bool:
        return (picture.item.key, flip) in self._ready

    def _load(self, chunk: list[Placed]) -> list[tuple[Placed, torch.Tensor]]:
        """Reads, on a thread, the pictures of a chunk that are not cached yet: each with (3, H, W) in [-1, 1]."""
        loaded = []
        for picture in chunk:
            content = None if self._folder is None else self._find(picture, self._folder)
            if not all(self._has(picture, flip) for flip in self._flips):
                loaded.append((picture, load_pixels(picture.item.path, picture.placement, content=content)))
        return loaded

    def _find(self, picture: Placed, folder: Path) -> bytes:
        """Looks for a picture's files of an earlier run; returns the picture's bytes, read once for hash and pixels."""
        path = picture.item.path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"The picture {path} can no longer be read ({error.strerror}): put it back and start again."
                            ) from None
        content_hash = cache_files.hash_content(content)
        for flip in self._flips:
            name = (picture.item.key, flip)
            key = cache_files.digest(content_hash, picture.placement, flip, self._vae)
            # A level of sub-folders keeps listings short with tens of thousands of pictures.
            self._files[name] = folder / key[:2] / f"{key}.safetensors"
            if cache_files.read(self._files[name], picture.placement) is not None:
                self._ready.add(name)
        return content

    def _encode(self, missing: list[tuple[Placed, torch.Tensor]], flip: bool, turn: Turn) -> None:
        pixels = torch.stack([one for _, one in missing])
        with turn() as model, torch.no_grad():
            mean, std = model.encode_images((pixels.flip(-1) if flip else pixels).to(model.device))
        mean, std = mean.float().cpu(), std.float().cpu()
        for index, (picture, _) in enumerate(missing):
            moments = (mean[index].clone(), std[index].clone())
            if not (moments[0].isfinite().all() and moments[1].isfinite().all()):
                raise UserError(f"The VAE gives no number (NaN) for {picture.item.path}: it overflows in half "
                                "precision. Run the host with the VAE in full precision (--no-half-vae).")
            name = (picture.item.key, flip)
            if self._folder is None:
                self._memory[name] = moments
            else:
                cache_files.write(self._files[name], *moments)
            self._ready.add(name)


class TextCache:
    """What the text encoders make of every distinct caption, kept on the CPU, for runs that do not train them."""

    def __init__(self) -> None:
        self._states: dict[str, Conditioning] = {}

    def fill(
        self,
        captions: Iterable[str],
        turn: Turn,
        *,
        clip_skip: int = 1,
        chunks: int = 1,
        batch_size: int = 8,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[Progress]:
        """Encodes what is missing; yields after every batch of captions.

        Args:
            captions: `Plan.captions`.
            turn: gives the model for one batch.
            clip_skip: as `HostModel.encode_captions` takes it, the same in all calls. chunks: likewise.
            batch_size: captions encoded at once.
            stopping: asked before every turn; when it is true the filling ends early.

        Raises:
            ModelChanged: from the turn; call again when the model is back.
        """
        wanted = sorted(set(captions))
        for start in range(0, len(wanted), batch_size):
            chunk = wanted[start : start + batch_size]
            # Whole chunks, so that the numbers do not depend on where an earlier filling was interrupted.
            if not all(caption in self._states for caption in chunk):
                if stopping():
                    return
                with turn() as model, torch.no_grad():
                    states = model.encode_captions(chunk, clip_skip=clip_skip, chunks=chunks)
                for index, caption in enumerate(chunk):
                    self._states[caption] = _one(states, index)
            yield Progress("captions", start + len(chunk), len(wanted))

    def conditioning(self, captions: Sequence[str]) -> Conditioning:
        """Returns the states of a batch of captions that `fill` has seen: hidden (B, T, C), pooled (B, P) or None."""
        states = [self._states[caption] for caption in captions]
        pooled = [state.pooled for state in states if state.pooled is not None]
        return Conditioning(torch.cat([state.hidden for state in states]), torch.cat(pooled) if pooled else None)


def _chunks(pictures: Sequence[Placed], size: int) -> Iterator[list[Placed]]:
    """Cuts the pictures into lists of one bucket, `size` long at most."""
    for _, group in groupby(pictures, key=lambda picture: picture.placement.bucket):
        same = list(group)
        for start in range(0, len(same), size):
            yield same[start : start + size]


def _one(states: Conditioning, index: int) -> Conditioning:
    row = slice(index, index + 1)
    pooled = None if states.pooled is None else states.pooled[row].cpu().clone()
    return Conditioning(states.hidden[row].cpu().clone(), pooled)
