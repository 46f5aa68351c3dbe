"""Losses by timestep and by picture: what is kept, what it costs, what it tells."""
from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lib_trainer.data.item import Item
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError
from lib_trainer.training.statistics import losses_file, watch
from lib_trainer.training.statistics.watch import Seen, Watch

TRAINED, REG = Subset("zko", Path("/data")), Subset("reg", Path("/reg"), "reg/", is_reg=True)


def items(count: int, subset: Subset = TRAINED) -> list[Item]:
    return [Item(subset, f"{number}.png", f"tag {number}", 64, 64, True) for number in range(count)]


def usual(timestep: int) -> float:
    """A loss that depends on the timestep as real ones do: high where there is little noise."""
    return 0.02 + 0.5 * float(np.exp(-timestep / 100))


def trained(odd: int = 3, updates: int = 800, factor: float = 1.4) -> Watch:
    """Ten pictures, one of which has a higher loss than its timesteps account for."""
    watched, rng = Watch(items(10)), np.random.default_rng(1)
    for _ in range(updates):
        picture, timestep = int(rng.integers(10)), int(rng.integers(1000))
        loss = usual(timestep) * float(rng.uniform(0.7, 1.3)) * (factor if picture == odd else 1.0)
        watched.see(Seen([f"images/{picture}.png"], [timestep], [loss]))
    return watched


def test_bands_hold_the_mean_of_their_timesteps() -> None:
    watched = Watch(items(2))
    watched.see(Seen(["images/0.png", "images/1.png", "images/0.png"], [0, 49, 999], [1.0, 3.0, 0.5]))
    assert [(band.first, band.last, band.loss, band.count) for band in watched.bands] == [
        (0, 50, 2.0, 2), (950, 1000, 0.5, 1)]


def test_a_picture_that_stands_out_is_found_whatever_timesteps_it_met() -> None:
    found = trained().pictures
    best = max(found, key=lambda one: one.loss)
    assert best.item.caption == "tag 3" and best.loss == pytest.approx(1.4, abs=0.15)
    others = [one.loss for one in found if one.item.caption != "tag 3"]
    assert max(others) < 1.15 and min(others) > 0.8
    assert sum(one.uses for one in found) == 800


def test_the_order_of_the_samples_does_not_matter() -> None:
    samples = [("images/0.png", 10, 0.5), ("images/1.png", 20, 0.25), ("images/0.png", 700, 0.125)]

    def seen(order: list[tuple[str, int, float]]) -> list[float]:
        watched = Watch(items(2))
        for key, timestep, loss in order:
            watched.see(Seen([key], [timestep], [loss]))
        return [one.loss for one in watched.pictures]

    assert seen(samples) == seen(samples[::-1])


def test_regularisation_pictures_are_not_mixed_in() -> None:
    watched = Watch([*items(1), *items(1, REG)])
    watched.see(Seen(["images/0.png", "reg/0.png"], [100, 100], [0.5, 100.0]))
    assert [one.item.key for one in watched.pictures] == ["images/0.png"]
    assert watched.bands[0].loss == 0.5


def test_pictures_that_were_not_used_and_losses_of_nothing() -> None:
    watched = Watch(items(2))
    assert watched.bands == [] and [one.loss for one in watched.pictures] == [0.0, 0.0]
    watched.see(Seen(["images/0.png"], [100], [0.0]))
    assert [(one.loss, one.uses) for one in watched.pictures] == [(0.0, 1), (0.0, 0)]


def test_it_goes_on_where_it_was() -> None:
    first, second = trained(updates=300), Watch(items(10))
    second.load_state_dict(first.state_dict())
    for one in (first, second):
        one.see(Seen(["images/3.png"], [10], [7.0]))
    assert first.pictures == second.pictures and first.bands == second.bands


def test_a_loss_that_runs_away_is_told_once() -> None:
    watched, told = Watch(items(1)), []
    for update in range(200):
        loss = usual(update * 37 % 1000) * (1.0 if update < 100 else 1.2 ** (update - 100))
        told.append(watched.see(Seen(["images/0.png"], [update * 37 % 1000], [loss])))
    sentences = [sentence for sentence in told if sentence]
    assert len(sentences) == 1 and "learning rate" in sentences[0]
    assert 100 < told.index(sentences[0]) < 125
    assert not any(trained(factor=2.5)._told for _ in range(1)), "one bad picture is no explosion"


def test_lost_updates_in_fp16_are_told_once_and_remembered() -> None:
    watched = Watch(items(1))
    assert [bool(watched.see_scale(scale)) for scale in (65536.0, 1.0, 0.5, 0.25)] == [False, False, True, False]
    again = Watch(items(1))
    again.load_state_dict(watched.state_dict())
    assert again.see_scale(0.1) == ""


def test_fifty_thousand_pictures_take_few_megabytes() -> None:
    many = items(50_000)
    tracemalloc.start()
    watched = Watch(many)
    watched.see(Seen(["images/49999.png"], [5], [0.5]))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 30e6  # 8 MB of tables, the rest are the names


def test_when_it_is_written() -> None:
    assert [step for step in range(1, 1001) if watch.due(step, 10_000)] == [10, 20, 40, 80, 160, 400, 600, 800, 1000]
    assert [step for step in range(1, 7) if watch.due(step, 6)] == [6]
    assert watch.due(777, 777)


def test_the_file(tmp_path: Path) -> None:
    watched = trained()
    with pytest.raises(UserError, match=r"losses\.json"):
        losses_file.read(tmp_path)
    losses_file.write(tmp_path, 800, watched.bands, watched.pictures)
    found = losses_file.read(tmp_path)
    assert found["step"] == 800 and len(found["bands"]) == watch.BANDS
    first = losses_file.ranked(found["pictures"])[0]
    assert (first["number"], first["caption"], first["file"]) == (3, "tag 3", str(Path("/data/3.png")))
    rows = list(csv.DictReader(io.StringIO(losses_file.as_csv(losses_file.ranked(found["pictures"])))))
    assert list(rows[0]) == ["loss", "uses", "file", "caption"] and rows[0]["caption"] == "tag 3"
    (tmp_path / losses_file.NAME).write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        losses_file.read(tmp_path)
