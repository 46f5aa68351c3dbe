"""Everything that a batch needs from the disk, read on threads while the model computes the batches before it.

What is cached comes out of the caches, the other pictures are read and scaled. The order is fixed and only a few
batches are read in advance, so memory stays bounded; nothing is drawn here, so a batch is the same whenever it is read.
"""
from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

import torch

from lib_trainer.data.caches.latent_cache import LatentCache, Latents, Moments, check_numbers
from lib_trainer.data.caches.text_cache import TextCache
from lib_trainer.data.masks import MaskFolders
from lib_trainer.data.pictures import load_mask, load_picture
from lib_trainer.data.sample import Batch, Sample
from lib_trainer.data.scanning.opening import UnreadablePicture
from lib_trainer.data.scanning.reading_ahead import Result, Task, read_ahead
from lib_trainer.errors import UserError
from lib_trainer.host_model import Conditioning, HostModel

_READERS = 4
_BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Loaded:
    """A batch with what was read for it, on the CPU.

    Attributes:
        batch: the samples.
        latents: what the cache has for every sample, None where the picture is to be encoded in the turn.
        pixels: (N, 3, H, W) in [-1, 1] of the N pictures to be encoded, in their order; None = none of them.
        masks: where the pictures count, (B, 1, h, w) float32 in 0..1; None = everywhere, in all of them.
        states: cached text states; None = the captions are to be encoded in the turn.
        partners: the same of the second pictures of the pairs; None = the pictures stand alone.
    """

    batch: Batch
    latents: Sequence[Latents | None]
    pixels: torch.Tensor | None
    masks: torch.Tensor | None
    states: Conditioning | None
    partners: Loaded | None = None

    def moments(self, model: HostModel) -> Moments:
        """Returns mean and standard deviation (B, C, h, w) of the batch, encoding what is not cached. Call in a turn.

        Raises:
            UserError: the VAE overflows.
        """
        encoded: list[Moments] = []
        if self.pixels is not None:
            mean, std = model.encode_images(self.pixels.to(model.device))
            fresh = [sample.item for sample, kept in zip(self.batch.samples, self.latents, strict=True) if kept is None]
            check_numbers(mean, std, fresh)
            encoded = list(zip(mean, std, strict=True))
        several = iter(encoded)
        pairs = [next(several) if kept is None else (kept.mean, kept.std) for kept in self.latents]
        if encoded:
            pairs = [(mean.to(model.device), std.to(model.device)) for mean, std in pairs]
        means, stds = zip(*pairs, strict=True)
        return torch.stack(means), torch.stack(stds)


def ahead(batches: Iterable[Task], read: Callable[[Task], Result]) -> Generator[Result, None, None]:
    """Yields what `read` makes of batches, in their order, some of them in advance; close it to end the threads."""
    reading = read_ahead(batches, read, _READERS, _BATCHES_AHEAD)
    try:
        for _, result in reading:
            yield result
    finally:
        reading.close()


class Loader:
    """Reads the batches of a run."""

    def __init__(
        self, latents: LatentCache | None = None, texts: TextCache | None = None, masks: MaskFolders | None = None
    ) -> None:
        """Makes a loader.

        Args:
            latents: the filled cache, None = every picture is encoded at every use. texts: likewise, of captions.
            masks: the mask files, where they are listed already.
        """
        self._latents, self._texts, self._masks = latents, texts, masks or MaskFolders()

    def load(self, batch: Batch) -> Loaded:
        """Reads one batch: all of its pictures have a partner, or none has. Of prompts there is nothing to read.

        Raises:
            UserError: a picture or mask can no longer be read.
        """
        latents: list[Latents | None] = []
        pixels: list[torch.Tensor] = []
        masks: list[torch.Tensor | None] = []
        for sample in batch.samples:
            kept = self._latents.find(sample) if self._latents else None
            latents.append(kept)
            if not sample.item.is_picture:
                masks.append(None)
            elif kept is None:
                picture, mask = self._read(sample)
                pixels.append(picture)
                masks.append(mask)
            else:
                masks.append(kept.mask)
        states = self.states([sample.caption for sample in batch.samples])
        second = [sample.partner for sample in batch.samples if sample.partner]
        partners = self.load(Batch(second)) if second else None
        return Loaded(batch, latents, torch.stack(pixels) if pixels else None, _stacked(masks), states, partners)

    def states(self, captions: Sequence[str]) -> Conditioning | None:
        """Returns the cached text states of captions; None = they are to be encoded in the turn."""
        return self._texts.conditioning(captions) if self._texts else None

    def _read(self, sample: Sample) -> tuple[torch.Tensor, torch.Tensor | None]:
        item, rules = sample.item, sample.item.subset.pictures
        try:
            picture, alpha = load_picture(item.path, sample.look, rules)
        except UnreadablePicture as error:
            raise UserError(f"The picture {item.path} can no longer be used: {error}. Mend it and start again."
                            ) from None
        if not rules.has_masks:
            return picture, None
        return picture, load_mask(self._masks.file_of(item), sample.look, rules, alpha)


def _stacked(masks: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """Returns the masks of a batch; a picture without one counts everywhere beside pictures with one."""
    some = next((mask for mask in masks if mask is not None), None)
    if some is None:
        return None
    return torch.stack([torch.ones_like(some) if mask is None else mask for mask in masks])
