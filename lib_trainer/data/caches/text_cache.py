"""What the text encoders make of every distinct caption, for runs that do not train them: in memory, or on disk."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch

from lib_trainer.data.caches import cache_files
from lib_trainer.data.caches.latent_cache import Turn
from lib_trainer.data.scanning.verify import Progress
from lib_trainer.host_model import Conditioning


class TextCache:
    """The text states of all captions of a run.

    Attributes:
        damaged: files of earlier runs that were damaged and are made anew.
        bytes_each: what the states of one caption take; 0 = none was encoded yet.
    """

    def __init__(
        self, *, clip_skip: int = 1, chunks: int = 1, weighted: bool = False, folder: Path | None = None,
        encoder: str = "",
    ) -> None:
        """Makes an empty cache.

        Args:
            clip_skip: as `HostModel.encode_captions` takes it. chunks, weighted: likewise.
            folder: where to keep the states for later runs, and instead of in memory; None = in memory only.
            encoder: what tells these text encoders, at their precision, from any other; matters with a folder.
        """
        self.damaged: list[Path] = []
        self.bytes_each = 0
        self._clip_skip, self._chunks, self._weighted = clip_skip, chunks, weighted
        self._folder, self._encoder = folder, encoder
        self._memory: dict[str, Conditioning] = {}
        self._ready: set[str] = set()

    def fill(
        self,
        captions: Iterable[str],
        turn: Turn,
        *,
        batch_size: int = 8,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[Progress]:
        """Encodes what is missing; yields after every batch of captions.

        Args:
            captions: `Plan.captions`.
            turn: gives the model for one batch.
            batch_size: captions encoded at once.
            stopping: asked before every turn; when it is true the filling ends early.

        Raises:
            UserError: the cache folder cannot be written.
            ModelChanged: from the turn; call again when the model is back.
        """
        wanted = sorted(set(captions))
        for start in range(0, len(wanted), batch_size):
            chunk = wanted[start : start + batch_size]
            missing = [caption for caption in chunk if not self._has(caption)]
            if missing:
                if stopping():
                    return
                # Whole chunks, so that the numbers do not depend on where an earlier filling was interrupted.
                with turn() as model, torch.no_grad():
                    states = model.encode_captions(
                        chunk, clip_skip=self._clip_skip, chunks=self._chunks, weighted=self._weighted)
                for caption in missing:
                    self._keep(caption, _one(states, chunk.index(caption)))
            yield Progress("captions", start + len(chunk), len(wanted))

    def conditioning(self, captions: Sequence[str]) -> Conditioning | None:
        """Returns the states of a batch of captions: hidden (B, T, C), pooled (B, P) or None.

        None = one of them is not kept, or was damaged since: to be encoded for this use.
        """
        states = [self._find(caption) for caption in captions]
        whole = [state for state in states if state is not None]
        if len(whole) < len(states):
            return None
        pooled = [state.pooled for state in whole if state.pooled is not None]
        return Conditioning(torch.cat([state.hidden for state in whole]), torch.cat(pooled) if pooled else None)

    def _has(self, caption: str) -> bool:
        if self._folder is None or caption in self._ready:
            return caption in self._memory or caption in self._ready
        file = self._file(caption, self._folder)
        if cache_files.is_there(file):
            self._ready.add(caption)
            return True
        if file.exists():
            self.damaged.append(file)
        return False

    def _keep(self, caption: str, states: Conditioning) -> None:
        whole = [states.hidden] if states.pooled is None else [states.hidden, states.pooled]
        self.bytes_each = sum(tensor.numel() * tensor.element_size() for tensor in whole)
        if self._folder is None:
            self._memory[caption] = states
            return
        pooled = {} if states.pooled is None else {"pooled": states.pooled}
        cache_files.write(self._file(caption, self._folder), {"hidden": states.hidden, **pooled})
        self._ready.add(caption)

    def _find(self, caption: str) -> Conditioning | None:
        if self._folder is None:
            return self._memory.get(caption)
        tensors = cache_files.read(self._file(caption, self._folder)) or {}
        return Conditioning(tensors["hidden"], tensors.get("pooled")) if "hidden" in tensors else None

    def _file(self, caption: str, folder: Path) -> Path:
        return cache_files.place(
            folder, cache_files.digest(
                "text", caption, self._encoder, self._clip_skip, self._chunks, *(["weighted"] * self._weighted))
        )


def _one(states: Conditioning, index: int) -> Conditioning:
    row = slice(index, index + 1)
    pooled = None if states.pooled is None else states.pooled[row].cpu().clone()
    return Conditioning(states.hidden[row].cpu().clone(), pooled)
