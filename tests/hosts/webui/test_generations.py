"""What is kept for a generation is found by it alone, and goes with it."""
from __future__ import annotations

import gc
from dataclasses import dataclass

from lib_trainer.hosts.webui.generations import OfGeneration


@dataclass
class Generation:
    """Equal to another one with the same fields, and without a hash, as the hosts' are."""

    prompt: str = "a cat"


def test_equal_generations_are_told_apart() -> None:
    kept: OfGeneration[str] = OfGeneration()
    one, other = Generation(), Generation()
    kept.put(one, "first")
    kept.put(one, "second")
    kept.put(other, "third")
    assert (kept.get(one), kept.get(other), kept.get(Generation())) == ("second", "third", None)
    assert kept.take(one) == "second" and kept.get(one) is None and kept.take(one) is None and len(kept) == 1


def test_a_generation_that_is_gone_leaves_nothing() -> None:
    kept: OfGeneration[str] = OfGeneration()
    kept.put(Generation(), "died")
    gc.collect()
    assert len(kept) == 0
    last = Generation()
    kept.put(last, "next")
    assert len(kept._kept) == 1 and kept.get(last) == "next"
