"""Double of the WebUIs' prompt parser: text states by step.

The doubles know no prompt editing, so all steps are alike.
"""
from __future__ import annotations

from typing import Any


def reconstruct_cond_batch(c: Any, current_step: Any) -> Any:
    return c


def reconstruct_multicond_batch(c: Any, current_step: Any) -> tuple[list[Any], Any]:
    return [[(0, 1.0)]], c
