"""What a preview must leave as it found it, besides the model: random generators, the host's memory of prompts."""
from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CACHES = ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc")
"""The host's lists that hold the last prompts' text states, kept as class attributes for the next generation."""


@contextmanager
def random_states() -> Iterator[None]:
    """While open, the process-wide random generators may be used; afterwards they are where they were."""
    import numpy
    import torch

    python, numpys, cpu = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        yield
    finally:
        random.setstate(python)
        numpy.random.set_state(numpys)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)


@contextmanager
def prompt_memory() -> Iterator[None]:
    """While open, the host writes no prompt down (`params.txt`) and may drop its cached text states; they come back."""
    from modules.processing import StableDiffusionProcessing, StableDiffusionProcessingTxt2Img
    from modules.shared import cmd_opts

    found = [(owner, name, vars(owner)[name])
             for owner in (StableDiffusionProcessing, StableDiffusionProcessingTxt2Img)
             for name in CACHES if name in vars(owner)]
    silent = cmd_opts.no_prompt_history
    cmd_opts.no_prompt_history = True
    try:
        yield
    finally:
        cmd_opts.no_prompt_history = silent
        for owner, name, cache in found:
            setattr(owner, name, cache)


def give_own_caches(processing: Any) -> None:
    """Lets a picture keep its text states to itself: they were made with adapters that no cache key knows."""
    for name in CACHES:
        shared = getattr(processing, name, None)
        if shared is not None:
            setattr(processing, name, [None] * len(shared))


def forget_prompts() -> None:
    """Empties the host's caches of text states: their keys know a LoRA by its tag, and its file is another one now."""
    from modules.processing import StableDiffusionProcessing, StableDiffusionProcessingTxt2Img

    for owner in (StableDiffusionProcessing, StableDiffusionProcessingTxt2Img):
        for name in CACHES:
            if name in vars(owner):
                cache = vars(owner)[name]
                cache[:] = [None] * len(cache)
