"""What a run is measured on: the pictures it does not see, and the best that was measured so far.

Everything about a measurement is fixed by the settings: which batches, at which timesteps, under which noise.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lib_trainer import seeds
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.picture_rules import Look
from lib_trainer.data.sample import Batch, Placed, Sample
from lib_trainer.training.config import TrainConfig

_TIMESTEPS = 4
"""As in the field: 200, 400, 600, 800 of 0..1000."""


def timesteps(config: TrainConfig) -> list[int]:
    """Returns the timesteps that are measured, evenly spread between the first and the last."""
    first, span = config.min_timestep, config.max_timestep - config.min_timestep
    return sorted({first + span * part // (_TIMESTEPS + 1) for part in range(1, _TIMESTEPS + 1)})


def seed_of(config: TrainConfig) -> int:
    """Returns the seed of the validation: its own, or the run's."""
    return config.seed if config.validation_seed < 0 else config.validation_seed


class HeldOut:
    """What is held out, and the best that was measured on it.

    Attributes:
        pictures: every picture that is held out with its placement.
        batches: the batches that are measured, in a fixed order.
        last_step: updates done at the last measurement, -1 before any.
        best_loss, best_step: the lowest loss since the first update, and when; `best_step` 0 = none yet.
        misses: measurements since then.
    """

    def __init__(self, config: TrainConfig, datasets: Sequence[Dataset]) -> None:
        """Settles what is measured.

        Args:
            config: the settings.
            datasets: what is held out; none = nothing is ever measured.
        """
        self._config = config
        self.pictures: list[Placed] = []
        batches = []
        for dataset in datasets:
            placed = [Placed(item, dataset.buckets.select(item.width, item.height)) for item in dataset.items]
            placed.sort(key=lambda picture: picture.placement.bucket)
            self.pictures += placed
            batches += list(_batches(placed, dataset.batch_size))
        # Shuffled, so that a limited number of them is of all sizes.
        seeds.python(seed_of(config), "validation order").shuffle(batches)
        self.batches = batches[: config.max_validation_steps or None]
        self.last_step = -1
        self.best_loss, self.best_step, self.misses = 0.0, 0, 0

    @property
    def captions(self) -> list[str]:
        """The captions of what is measured."""
        return sorted({sample.caption for batch in self.batches for sample in batch.samples})

    @property
    def is_over(self) -> bool:
        """Whether early stopping ends the run."""
        return 0 < self._config.early_stopping <= self.misses

    def due(self, at: int, epoch: int, epoch_ended: bool) -> bool:
        """Whether it is measured after update number `at`, of this epoch (1-based)."""
        config = self._config
        if not self.batches or self.last_step == at:
            return False
        if config.validate_every_steps and at % config.validate_every_steps == 0:
            return True
        apart = config.validate_every_epochs or (0 if config.validate_every_steps else 1)
        return bool(epoch_ended and apart and epoch % apart == 0)

    def judge(self, at: int, loss: float) -> bool:
        """Remembers a loss; returns whether it is the best so far. What the model knew before counts as no state."""
        self.last_step = at
        if at == 0:
            return False
        if self.best_step and not loss < self.best_loss:
            self.misses += 1
            return False
        self.best_loss, self.best_step, self.misses = loss, at, 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """Returns what the coming measurements are judged by."""
        return {name: getattr(self, name) for name in ("last_step", "best_loss", "best_step", "misses")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where another run's validation was."""
        self.last_step, self.best_step = int(state_dict["last_step"]), int(state_dict["best_step"])
        self.best_loss, self.misses = float(state_dict["best_loss"]), int(state_dict["misses"])


def _batches(pictures: Sequence[Placed], size: int) -> Iterator[Batch]:
    """Cuts pictures, sorted by bucket, into batches of one bucket."""
    by_bucket: dict[tuple[int, int], list[Sample]] = {}
    for picture in pictures:
        item = picture.item
        caption = item.subset.captions.settled(item.caption)
        sample = Sample(item, Look(picture.placement), caption, 0, f"{item.key}#held out")
        by_bucket.setdefault(picture.placement.bucket, []).append(sample)
    for samples in by_bucket.values():
        for start in range(0, len(samples), size):
            yield Batch(samples[start : start + size])
