"""Which torch the tests run on: WebUIs bring 2.1 to 2.3, and some of what is tested here torch learnt only later."""
from __future__ import annotations

import pytest
import torch

TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])
"""Major and minor version."""


def since(version: tuple[int, int], what: str) -> pytest.MarkDecorator:
    """Marks a test of what torch itself can do since a version; under an older torch it is skipped, and says so."""
    return pytest.mark.skipif(version > TORCH, reason=f"torch {torch.__version__} lacks {what} ({version} has it)")
