"""Random numbers that belong to a purpose, never to the process.

Every draw of a training run comes from a generator derived from the run's seed, the purpose of the draw and where it
happens (step, epoch, sample). So the global generators of Python, numpy and torch are neither read nor advanced, a
generation pressed between two steps changes nothing, and a resumed run draws what an uninterrupted one would have.
"""
from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, purpose: str, *where: int | str) -> int:
    """Returns the 63-bit seed of one purpose at one place: SHA-256 of all the arguments.

    Args:
        seed: the run's seed, any integer.
        purpose: what the numbers are for, such as "noise" or "caption".
        where: the place in the run: step, epoch, sample name.
    """
    text = "\x1f".join([str(seed), purpose, *map(str, where)])
    return int.from_bytes(hashlib.sha256(text.encode("utf8")).digest()[:8], "big") >> 1


def python(seed: int, purpose: str, *where: int | str) -> random.Random:
    """Returns Python's generator for one purpose at one place."""
    return random.Random(derive(seed, purpose, *where))


def torch_generator(seed: int, purpose: str, *where: int | str) -> torch.Generator:
    """Returns torch's CPU generator for one purpose at one place; draw on the CPU and move, so devices agree."""
    import torch

    return torch.Generator().manual_seed(derive(seed, purpose, *where))


@contextmanager
def process_wide(seed: int, purpose: str, *where: int | str) -> Iterator[None]:
    """While open, the process-wide generators of Python, numpy and torch are those of one purpose at one place.

    Only for classes of other people's that a person has named and that may draw from them (some optimisers); open it
    where nothing else draws, that is inside a turn. On the way out they are as they were found.
    """
    import numpy
    import torch

    cards = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    python_state, numpy_state = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng(devices=cards):
        derived = derive(seed, purpose, *where)
        random.seed(derived)
        numpy.random.seed(derived % 2**32)
        torch.manual_seed(derived)
        try:
            yield
        finally:
            random.setstate(python_state)
            numpy.random.set_state(numpy_state)
