"""Lengths, speed and the line of text."""
from __future__ import annotations

import pytest

from lib_trainer.errors import UserError
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.progress import Length, Progress, line


@pytest.mark.parametrize(("batches", "accumulation", "epochs", "steps", "expected"), [
    (610, 1, 20, 0, (610, 12200, 20)),
    (6, 2, 2, 0, (3, 6, 2)),  # sd-scripts: 24 samples, batch 4, accumulation 2, 2 epochs -> 6 updates
    (5, 2, 2, 0, (3, 6, 2)),
    (5, 2, 9, 7, (3, 7, 3)),
    (1, 8, 1, 0, (1, 1, 1)),
])
def test_lengths(batches: int, accumulation: int, epochs: int, steps: int, expected: tuple[int, int, int]) -> None:
    config = TrainConfig(gradient_accumulation=accumulation, epochs=epochs, steps=steps)
    length = Length.of(batches, config)
    assert (length.updates_per_epoch, length.total, length.epochs) == expected


def test_no_length() -> None:
    with pytest.raises(UserError):
        Length.of(5, TrainConfig(epochs=0))


def test_the_line_people_know() -> None:
    assert line(610, 12200, 331.0, 1.846, 0.0995) == "steps: 5% 610/12200 [05:31<1:44:38, 1.85it/s, loss=0.0995]"
    assert line(1, 10, 3.0, 0.2, 0.1) == "steps: 10% 1/10 [00:03<00:45, 5.00s/it, loss=0.1]"
    assert line(1, 10, 0.0, 0.0, 0.1) == "steps: 10% 1/10 [00:00<?, ?it/s, loss=0.1]"


def test_speed_counts_updates_only() -> None:
    now = 100.0
    progress = Progress(Length(2, 4, 2), clock=lambda: now)
    for _ in range(2):
        progress.begin_update()
        now += 0.5
        stepped = progress.stepped(1.0, {"unet": 1e-4}, 500.0)
        now += 60.0  # a pause, previews ...
    assert stepped.rate == pytest.approx(2.0)
    assert stepped.eta == pytest.approx(1.0)
    assert stepped.elapsed == pytest.approx(61.0)


def test_average_loss_is_of_the_last_epochs_worth_of_updates() -> None:
    progress = Progress(Length(2, 4, 2))
    events = []
    for loss in (4.0, 2.0, 1.0, 3.0):
        progress.begin_update()
        events.append(progress.stepped(loss, {}, 0.0))
    assert [event.average_loss for event in events] == [4.0, 3.0, 1.5, 2.0]
    assert [event.epoch for event in events] == [1, 1, 2, 2]
