"""Pictures kept from training, and what is measured on them."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import MAX_SEED, setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ValidationSettings:
    """Pictures kept from training, and what is measured on them."""

    validation_split: float = setting(0.0, "Held out", "Part of the training pictures that is not trained on but "
        "measured: the loss on them rises when the LoRA overfits. 0.1 = a tenth; 0 = off.", "Validation",
        minimum=0, maximum=0.9)
    validation_seed: int = setting(-1, "Validation seed", "Decides which pictures are held out and with which noise "
        "they are measured; -1 = the seed of the run.", "Validation", minimum=-1, maximum=MAX_SEED)
    validate_every_steps: int = setting(0, "Validate every N steps", "0 = by epochs.", "Validation",
        "validate_every_n_steps", minimum=0)
    validate_every_epochs: int = setting(0, "Validate every N epochs", "0 = every epoch, unless it is done by steps.",
        "Validation", "validate_every_n_epochs", minimum=0)
    max_validation_steps: int = setting(0, "Batches per validation", "Measure on this many batches of what is held "
        "out; 0 = on all.", "Validation", minimum=0)
    early_stopping: int = setting(0, "Stop early", "End the training after this many validations without a new best; "
        "the best state is saved as NAME-best. 0 = off.", "Validation", minimum=0)
