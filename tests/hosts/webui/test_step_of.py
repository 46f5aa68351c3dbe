"""Which step a call of the WebUIs' denoiser belongs to."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from lib_trainer.hosts.webui.windows import step_of


@pytest.mark.parametrize(("steps", "total_steps", "calls", "expected"), [
    (4, 4, 4, [1, 2, 3, 4]),  # Euler, DDIM, DPM++ 2M
    (3, 6, 5, [1, 1, 2, 2, 3]),  # Heun, DPM2: once in the last step
    (4, 4, 5, [1, 2, 3, 4, 4]),  # UniPC: once more at the end
    (2, None, 2, [1, 2]),
])
def test_step_of_a_call(steps: int, total_steps: int | None, calls: int, expected: list[int]) -> None:
    found = [step_of(SimpleNamespace(step=call, steps=steps, total_steps=total_steps)) for call in range(calls)]
    assert found == expected


def test_a_denoiser_that_does_not_know_its_steps() -> None:
    assert step_of(SimpleNamespace(step=0, steps=None, total_steps=None)) == 1
