"""The recipe of a training: from the check to the finished file, by the method of the settings.

`run` is a generator. Whoever iterates it (a job) sees every event when it happens; errors come out of it as exceptions,
after the lease on the host's model was closed. Nothing is written before the check has passed.
"""
from __future__ import annotations

from collections.abc import Iterator

from lib_trainer.host import Host
from lib_trainer.training import check
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.events import Event
from lib_trainer.training.methods import registry
from lib_trainer.training.shown import Shown
from lib_trainer.training.world import ALONE, World


def run(
    config: TrainConfig, host: Host, controls: Controls, findings: Findings | None = None, world: World = ALONE
) -> Iterator[Event]:
    """Trains a LoRA.

    Args:
        config: the settings.
        host: what has the model.
        controls: stop, pause, save now, sample now.
        findings: of `check.check` for these settings, where the caller has them already.
        world: the processes that train together.

    Raises:
        Problems: the settings cannot be trained with; all faults together.
        UserError: something went wrong that the person can mend.
    """
    found = findings or check.check(config, host)
    controls = world.shared(controls)
    with host.job(f"Training {config.name}") as display, controls.heeding(display.stop_asked):
        shown = Shown(display)
        for event in registry.runner(config.method)(config, host, controls, found, world):
            shown.show(event)
            yield event
