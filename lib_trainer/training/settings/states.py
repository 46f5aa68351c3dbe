"""States of a run, from which it goes on as if it had never ended."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class StateSettings:
    """States of a run, from which it goes on as if it had never ended."""

    resume: str = setting("", "Resume", "Go on with a run that has ended: the name or folder of a state, or auto = the "
        "newest run of this name (from the beginning where there is none). Rates, length, files and previews may be "
        "changed for what comes. Empty = begin anew.", "Resume", path=True)
    state_every_minutes: int = setting(15, "State every N minutes", "Writes all that the run needs to go on exactly "
        "into the job's folder, beside the previews. After a crash nothing older is lost. 0 = off.", "Resume",
        minimum=0, maximum=100000)
    state_every_epochs: int = setting(0, "State every N epochs", "0 = off.", "Resume", minimum=0, maximum=1000000)
    state_every_steps: int = setting(0, "State every N steps", "0 = off.", "Resume", minimum=0, maximum=100000000)
    state_at_end: bool = setting(False, "State at the end", "To train the finished LoRA longer later.", "Resume",
        "save_state_on_train_end")
    keep_states: int = setting(2, "States to keep", "After a new one is written, the oldest of this run go; 0 = all "
        "stay. A pause and a stop write one, too, unless all states are off.", "Resume", "save_last_n_epochs_state",
        minimum=0, maximum=1000000)
