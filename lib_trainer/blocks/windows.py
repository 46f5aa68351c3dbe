"""When in a picture a LoRA acts: from one step of the sampler to another.

Steps count from 1, and from 1 again in the hires pass. `start=s` means from step s on, `stop=s` means off from step s
on (the steps before it are drawn with the LoRA), and `step=a-b` is `start=a` with `stop=b`.
"""
from __future__ import annotations

import re
from dataclasses import dataclass

from lib_trainer.blocks.values import shortened

_DIGITS = 6
"""Of a step, at most: no picture has more."""

_RANGE = re.compile(r"([0-9]*)\s*-\s*([0-9]*)")


@dataclass(frozen=True)
class Window:
    """The steps in which a LoRA acts.

    Attributes:
        start: the first step with it, from 1.
        stop: the first step without it again; None = none.
    """

    start: int = 1
    stop: int | None = None

    def acts_at(self, step: int) -> bool:
        """Whether the LoRA acts in a step, which counts from 1."""
        return self.start <= step and (self.stop is None or step < self.stop)

    @property
    def is_empty(self) -> bool:
        """Whether there is no step at all in which the LoRA acts."""
        return self.stop is not None and self.stop <= self.start


ALWAYS = Window()
"""Every step: what a tag without `start`, `stop` and `step` asks for."""


def read_window(start: str | None, stop: str | None, step: str | None) -> tuple[Window, list[str]]:
    """Reads the window of a tag.

    Args:
        start: value of `start=`; None = not given, as for the others.
        stop: value of `stop=`.
        step: value of `step=`, which stands in the place of both; one side of its dash may be empty.

    Returns:
        the window, and sentences about values that cannot be read and do not act.
    """
    faults: list[str] = []
    if step is not None:
        found = _RANGE.fullmatch(step)
        if found is None or not (found[1] or found[2]):
            return ALWAYS, [f"'step={shortened(step)}' is no range of steps and was ignored: write step=5-20."]
        start, stop = found[1] or None, found[2] or None
    return Window(_whole("start", start, faults) or 1, _whole("stop", stop, faults)), faults


def _whole(keyword: str, text: str | None, faults: list[str]) -> int | None:
    """Reads a step; 0 is that before the first, which is as good as the first."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS:
        faults.append(f"'{keyword}={shortened(text)}' is no step and was ignored: write a whole number such as "
                      f"{keyword}=5.")
        return None
    return max(1, int(text))


def idle(name: str, window: Window, steps: int) -> str | None:
    """The sentence about a LoRA that starts after the last step; None when it does not.

    Args:
        name: the LoRA's.
        window: of its tag; an empty one has been told when the tag was read.
        steps: of the sampler, in the pass that is meant.
    """
    if window.is_empty or window.start <= steps:
        return None
    return f"LoRA '{name}' acts in no step: it starts at step {window.start}, and there are {steps}."
