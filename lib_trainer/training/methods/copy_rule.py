"""When a copier copies: it is as near to its pictures as was asked, or as near as it will come.

A copier that goes on after it copies costs time and learns nothing that the difference needs, so it ends, whichever
comes first:

- as near as was asked: the score of the caption that is copied worst is `copier_score` or more, `copier_patience`
  measurements in a row;
- as near as it will come: the mean score of the captions has come half of the way, in the last `copier_level`
  measurements it has not risen by more than 0.02 above what it was before them, and it is there now, in no dip.

The second one is there because nobody knows beforehand how near a copier comes: a narrow autoencoder, timesteps that
are not trained and layers that do not learn all keep something back. (It cannot be computed, either: on the demo
checkpoint copiers of timesteps 500-1000 score 0.67-0.93, more than the 0.40-0.87 of pictures that are noised to 500 and
finished by the untouched model, since what they learn acts on the other timesteps, too.) The mean is looked at since it
wavers less than the worst one, and half of the way is asked for because a copier that has hardly begun stands still as
well. docs/METHODS.md has the curves.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

GAIN = 0.02
"""A rise of the mean score that counts; between two measurements of a copier that is through it wavers by as much."""

BEGUN = 0.5
"""A mean score from which standing still means that it copies: half of the squared distance is gone."""


@dataclass(frozen=True)
class Measured:
    """One measurement: `step` = updates done, the scores of the caption copied `worst` and of all on `average`."""

    step: int
    worst: float
    average: float


@dataclass(frozen=True)
class Standing:
    """What the measurements so far amount to.

    Attributes:
        copied: measurements in a row whose worst score is as high as was asked.
        copied_since: the first of them, in updates; 0 = there is none.
        level: the mean score that none has surpassed by more than `GAIN` since.
        level_since: its measurement, in updates. stalled: measurements since then.
    """

    copied: int = 0
    copied_since: int = 0
    level: float = -math.inf
    level_since: int = 0
    stalled: int = 0


def standing(curve: Sequence[Measured], threshold: float) -> Standing:
    """Returns what the measurements amount to.

    Args:
        curve: in their order.
        threshold: the worst score that counts as copied, 0 = none does.
    """
    now = Standing()
    for one in curve:
        is_copy = one.worst >= threshold > 0
        has_risen = (now.stalled == 0 and now.level_since == 0) or one.average > now.level + GAIN
        now = Standing(
            now.copied + 1 if is_copy else 0, (now.copied_since or one.step) if is_copy else 0,
            one.average if has_risen else now.level, one.step if has_risen else now.level_since,
            0 if has_risen else now.stalled + 1,
        )
    return now


def why_it_ends(curve: Sequence[Measured], threshold: float, patience: int, level: int) -> str:
    """Returns why a copier ends after its last measurement, as a sentence; "" = it goes on.

    Args:
        curve: its measurements. threshold: see `standing`.
        patience: copies in a row that are asked for.
        level: measurements without a gain that end it, 0 = none do.
    """
    if not curve:
        return ""
    now, last = standing(curve, threshold), curve[-1]
    if threshold > 0 and now.copied >= patience:
        return (f"It copies since step {now.copied_since}: copy score {last.worst:.2f} ({threshold:g} was asked for), "
                f"so this copier ends at step {last.step}.")
    if 0 < level <= now.stalled and now.level >= BEGUN and last.average >= now.level - GAIN:
        return (f"It copies since step {now.level_since}, as well as it will: copy score {last.average:.2f} on average "
                f"({last.worst:.2f} of the picture copied worst), no gain since then, so this copier ends at step "
                f"{last.step}.")
    return ""


def what_it_lacks(last: Measured) -> str:
    """Returns what is to be said of a copier that has come to its last step with this; "" = it has come far enough."""
    if last.average >= BEGUN:
        return ""
    return (f"This copier has come to its last step, {last.step}, and does not copy: copy score {last.average:.2f} on "
            f"average, {last.worst:.2f} of the picture copied worst, where 1 is a copy. What it has not copied is "
            "missing from the difference: give it more steps, or a higher learning rate.")
