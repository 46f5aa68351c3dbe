"""Whether the disks have room for all that the parts of a training will write, told before the first one begins.

Parts that are through need nothing more. What a part that trains will write follows from the size of its adapters and
the number of its updates, so they are counted on the model, for a moment, before anything is trained.
"""
from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from lib_trainer.data.holdout import hold_out
from lib_trainer.host import Host, Lease
from lib_trainer.training import outset
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event
from lib_trainer.training.methods.lending import Lending
from lib_trainer.training.methods.parts import Part, Shows, Trains, Works
from lib_trainer.training.outputs import room
from lib_trainer.training.outputs.room import Need
from lib_trainer.training.progress import Length
from lib_trainer.training.run import patiently
from lib_trainer.training.statistics.held_out import seed_of


def check(
    parts: Sequence[Part], host: Host, controls: Controls, findings: Findings, lending: Lending
) -> Generator[Event, None, bool]:
    """Checks that there is room for what all parts will write; returns False when the person stopped meanwhile.

    Args:
        parts: of the training, one that trains among them.
        host, controls: of the training.
        findings: of the whole: what is through already.
        lending: the model that the parts train on.

    Raises:
        Problems: there is not.
    """
    done = findings.found.record.done if findings.found and findings.found.record else {}
    first = next(part for part in parts if isinstance(part, Trains))
    needs: list[Need] = []
    for part in parts:
        if part.key in done or isinstance(part, Shows):
            continue
        if isinstance(part, Works):
            needs += part.needs
            continue
        # Counted on the first checkpoint: what an earlier part has yet to write has the same layers.
        wanted = yield from _of_training(part, host, controls, lending.lease(first.config, findings))
        if wanted is None:
            return False
        needs += wanted
    room.check(needs)
    return True


def _of_training(
    part: Trains, host: Host, controls: Controls, lease: Lease
) -> Generator[Event, None, list[Need] | None]:
    """Returns what a part will write; None when the person stopped while the model was away."""
    plain = replace(part.config, base_loras="", continue_from="")

    def made() -> outset.Adapters:
        with lease.turn() as model:
            return outset.adapters(plain, host, model)

    adapters = yield from patiently(controls, 0, made)
    if adapters is None:
        return None
    plan = outset.plan(part.config, hold_out(part.findings.datasets, seed_of(part.config))[0])
    length = Length.of(plan.batches_per_epoch, part.config)
    return room.needs(part.config, host, adapters.network, length)
