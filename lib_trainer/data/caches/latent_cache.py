"""Latents that are made once and used in every epoch.

Encoding a picture costs as much as a training step, and a picture is used hundreds of times. Kept is the VAE's
posterior, its mean and standard deviation, so that every use still draws its own sample, and the mask where there is
one. Pictures are read and scaled on threads while the model is free; only the encoding itself takes a turn on the host,
one batch at a time. What is in a cache already is not encoded again, so `fill` can simply be called again after an
interruption. With a folder nothing stays in memory but the names of the files.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import torch

from lib_trainer.data import looks
from lib_trainer.data.caches import cache_files
from lib_trainer.data.item import Item
from lib_trainer.data.masks import MaskFolders
from lib_trainer.data.picture_rules import Look
from lib_trainer.data.pictures import load_mask, load_picture
from lib_trainer.data.sample import Placed, Sample
from lib_trainer.data.scanning.gathering import Skipped
from lib_trainer.data.scanning.known_files import KnownFiles
from lib_trainer.data.scanning.opening import UnreadablePicture
from lib_trainer.data.scanning.reading_ahead import read_ahead
from lib_trainer.data.scanning.verify import Progress
from lib_trainer.errors import UserError
from lib_trainer.host_model import HostModel

Turn = Callable[[], AbstractContextManager[HostModel]]
"""`Lease.turn`: exclusive use of the model while the context is open."""

Moments = tuple[torch.Tensor, torch.Tensor]
"""Mean and standard deviation of a VAE posterior, float32, not yet scaled."""

_READERS = 4
_BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Latents:
    """What is kept of one look of a picture, on the CPU.

    Attributes:
        mean: of the posterior, (C, h, w) float32, not yet scaled. std: likewise.
        mask: where the picture counts, (1, h, w) float32 in 0..1; None = everywhere.
    """

    mean: torch.Tensor
    std: torch.Tensor
    mask: torch.Tensor | None = None


class _Unit(NamedTuple):
    """Pictures of one bucket that are read together, each in one of its looks; `finished` of them in their last."""

    pictures: list[tuple[Placed, Look]]
    finished: int


@dataclass(frozen=True)
class _Read:
    """A picture that was read because latents of it are missing.

    Attributes:
        missing: names of the latents to be made, by whether they are mirrored.
        pixels: (3, H, W) in [-1, 1]. mask: (1, h, w) or None. Both not mirrored.
    """

    item: Item
    missing: dict[bool, str]
    pixels: torch.Tensor
    mask: torch.Tensor | None


class LatentCache:
    """The posterior moments of all pictures of a run, in memory, or on disk when a folder is given.

    Attributes:
        damaged: files of earlier runs that were damaged and are made anew.
    """

    def __init__(
        self, seed: int = 0, *, folder: Path | None = None, vae: str = "", masks: MaskFolders | None = None,
        known: KnownFiles | None = None,
    ) -> None:
        """Makes an empty cache.

        Args:
            seed: the run's, which decides the looks of pictures that have several.
            folder: where to keep the latents for later runs; None = in memory only.
            vae: what tells this VAE, at this precision, from any other; matters with a folder.
            masks: the mask files, where they are listed already.
            known: files whose hash is known already; matters with a folder.
        """
        self.damaged: list[Path] = []
        self._seed, self._folder, self._vae = seed, folder, vae
        self._masks, self._known = masks or MaskFolders(), known or KnownFiles()
        self._memory: dict[str, Latents] = {}
        self._ready: set[bytes] = set()
        self._hashes: dict[str, tuple[str, str]] = {}
        self._told: set[Path] = set()

    def fill(
        self,
        pictures: Sequence[Placed],
        turn: Turn,
        batch_size: int = 1,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[Progress]:
        """Encodes what is missing; yields after every batch of pictures, and for every picture that cannot be read.

        Pictures with too many looks are left out, and so are the unreadable ones: hand those to the plan.

        Args:
            pictures: `Plan.pictures`, sorted by bucket.
            turn: gives the model for one batch.
            batch_size: pictures encoded at once, all of one bucket.
            stopping: asked before every turn; when it is true the filling ends early.

        Raises:
            UserError: a mask cannot be read, the VAE overflows, or the cache folder cannot be written.
            ModelChanged: from the turn; call again when the model is back.
        """
        wanted = [picture for picture in pictures if picture.item.subset.pictures.can_be_cached]
        done = 0
        loading = read_ahead(_units(wanted, batch_size, self._seed), self._load, _READERS, _BATCHES_AHEAD)
        with cache_files.writing() as written, closing(loading) as reading:
            for unit, loaded in reading:
                yield from (Progress("latents", done, len(wanted), broken) for broken in self._broken(loaded))
                for flip in (False, True):
                    missing = [one for one in loaded if isinstance(one, _Read) and flip in one.missing]
                    if missing and stopping():
                        return
                    if missing:
                        self._encode(missing, flip, turn, written)
                done += unit.finished
                yield Progress("latents", done, len(wanted))

    def find(self, sample: Sample) -> Latents | None:
        """Returns what is kept for one use; None = not kept, or damaged since: to be encoded for this use."""
        rules = sample.item.subset.pictures
        if not rules.can_be_cached:
            return None
        name = self._name(sample.item, sample.look)
        if self._folder is None:
            return self._memory.get(name)
        return _read(cache_files.place(self._folder, name), sample.look, rules.has_masks)

    def _name(self, item: Item, look: Look) -> str:
        """Returns the name of the latents of one look; without a folder the picture's path stands for its content."""
        picture, mask = (str(item.path), "") if self._folder is None else self._hashed(item)[0]
        return cache_files.latents_name(picture, mask, look, item.subset.pictures, self._vae)

    def _hashed(self, item: Item) -> tuple[tuple[str, str], bytes | None]:
        """Returns the hashes of picture and mask file, and the picture's bytes where they were read for it."""
        path = str(item.path)
        if (known := self._hashes.get(path)) is not None:
            return known, None
        mask, content = self._masks.file_of(item), None
        try:
            found = self._known.find(item.path)
            if found is None:
                content, picture = self._known.read(item.path)
            else:
                picture = found.hash
            known = picture, self._hash(mask) if mask else ""
        except OSError as error:
            raise UnreadablePicture(f"it cannot be read ({error.strerror})") from None
        self._hashes[path] = known
        return known, content

    def _hash(self, file: Path) -> str:
        found = self._known.find(file)
        return found.hash if found else self._known.read(file)[1]

    def _broken(self, loaded: Sequence[_Read | Skipped]) -> Iterator[Skipped]:
        """Yields the pictures that could not be read and were not told yet."""
        for one in loaded:
            if isinstance(one, Skipped) and one.path not in self._told:
                self._told.add(one.path)
                yield one

    def _load(self, unit: _Unit) -> list[_Read | Skipped]:
        """Reads, on a thread, the pictures of a unit of which latents are missing; tells those that cannot be read."""
        found: list[_Read | Skipped] = []
        for picture, look in unit.pictures:
            try:
                if read := self._load_one(picture.item, look):
                    found.append(read)
            except UnreadablePicture as error:
                found.append(Skipped(picture.item.path, str(error)))
        return found

    def _load_one(self, item: Item, look: Look) -> _Read | None:
        rules = item.subset.pictures
        content = self._hashed(item)[1] if self._folder else None
        named = {flip: self._name(item, replace(look, flip=flip)) for flip in (False, True)[: 1 + rules.flip]}
        missing = {flip: name for flip, name in named.items() if not self._has(name)}
        if not missing:
            return None
        pixels, alpha = load_picture(item.path, look, rules, content=content)
        mask = load_mask(self._masks.file_of(item), look, rules, alpha) if rules.has_masks else None
        return _Read(item, missing, pixels, mask)

    def _has(self, name: str) -> bool:
        if self._folder is None:
            return name in self._memory
        if bytes.fromhex(name) in self._ready:
            return True
        file = cache_files.place(self._folder, name)
        if not cache_files.is_there(file):
            if file.exists():
                self.damaged.append(file)
            return False
        self._ready.add(bytes.fromhex(name))
        return True

    def _encode(self, missing: list[_Read], flip: bool, turn: Turn, written: cache_files.Write) -> None:
        pixels = torch.stack([one.pixels for one in missing])
        with turn() as model, torch.no_grad():
            mean, std = model.encode_images((pixels.flip(-1) if flip else pixels).to(model.device))
        mean, std = mean.float().cpu(), std.float().cpu()
        check_numbers(mean, std, [one.item for one in missing])
        for index, one in enumerate(missing):
            mask = None if one.mask is None else one.mask.flip(-1) if flip else one.mask
            latents = Latents(mean[index].clone(), std[index].clone(), mask)
            if self._folder is None:
                self._memory[one.missing[flip]] = latents
            else:
                written(cache_files.place(self._folder, one.missing[flip]), _tensors(latents))
                self._ready.add(bytes.fromhex(one.missing[flip]))


def check_numbers(mean: torch.Tensor, std: torch.Tensor, items: Sequence[Item]) -> None:
    """Checks what the VAE made of some pictures.

    Raises:
        UserError: it overflowed; names the first such picture and the remedy.
    """
    fine = (mean.isfinite() & std.isfinite()).flatten(1).all(dim=1).tolist()
    for item, is_fine in zip(items, fine, strict=True):
        if not is_fine:
            raise UserError(f"The VAE gives no numbers (NaN) for {item.path}, in float32 either: its weights are "
                            "damaged, or it is another family's. Choose another VAE.")


def _units(pictures: Sequence[Placed], size: int, seed: int) -> Iterator[_Unit]:
    """Cuts the pictures into lists of one bucket, `size` long at most, each as often as its pictures have looks."""
    for _, group in groupby(pictures, key=lambda picture: picture.placement.bucket):
        same = list(group)
        for start in range(0, len(same), size):
            chunk = same[start : start + size]
            straight = [_straight(picture, seed) for picture in chunk]
            most = max(map(len, straight))
            for number in range(most):
                found = [(picture, several[number])
                         for picture, several in zip(chunk, straight, strict=True) if number < len(several)]
                yield _Unit(found, len(chunk) if number == most - 1 else 0)


def _straight(picture: Placed, seed: int) -> list[Look]:
    item = picture.first or picture.item
    return looks.straight(item.subset.pictures, item.path, (item.width, item.height), picture.placement, seed)


def _read(file: Path, look: Look, masked: bool) -> Latents | None:
    tensors = cache_files.read(file)
    if tensors is None or not {"mean", "std"} <= tensors.keys() or masked != ("mask" in tensors):
        return None
    latents = Latents(tensors["mean"], tensors["std"], tensors.get("mask"))
    width, height = look.placement.bucket
    shape = latents.mean.shape
    fits = len(shape) == 3 and shape == latents.std.shape and shape[2] * height == shape[1] * width
    return latents if fits else None


def _tensors(latents: Latents) -> dict[str, torch.Tensor]:
    masks = {} if latents.mask is None else {"mask": latents.mask}
    return {"mean": latents.mean, "std": latents.std, **masks}
