"""Reading batches: from caches where it can be, from files where not, in order, ahead, and not too far ahead."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from lib_trainer.data import loading
from lib_trainer.data.buckets import Buckets
from lib_trainer.data.caches.latent_cache import LatentCache
from lib_trainer.data.caches.text_cache import TextCache
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.loading import Loader
from lib_trainer.data.picture_rules import PictureRules
from lib_trainer.data.plan import Plan
from lib_trainer.data.sample import Batch
from lib_trainer.data.scanning.scan import scan
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError
from tests.data_tests.drawn import caption, noisy
from tests.data_tests.fill_cache import Model


def pictures(folder: Path, count: int, **rules: Any) -> list[Item]:
    for number in range(count):
        noisy(folder / f"{number}.png", (96, 64), seed=number)
        caption(folder / f"{number}.txt", "a" * (number + 1))
    return scan(folder, subset=Subset("", prefix=f"{folder.name}/", pictures=PictureRules(**rules))).items


def planned(*items: Item, batch_size: int = 2) -> Plan:
    return Plan([Dataset(items, Buckets(64, 64, 64, enabled=False), batch_size)], seed=1)


def test_cached_and_uncached_pictures_share_a_batch(tmp_path: Path) -> None:
    """Some pictures vary at every use and are encoded in the turn; a batch comes out as if all were."""
    items = [*pictures(tmp_path / "fixed", 2, flip=True), *pictures(tmp_path / "varied", 2, random_crop=True)]
    plan, model, cache = planned(*items, batch_size=4), Model(), LatentCache(1)
    list(cache.fill(plan.pictures, lambda: model))
    assert model.encoded == 4  # two, straight and mirrored
    batch = plan.batches(1)[0]
    mixed, fresh = Loader(cache).load(batch), Loader().load(batch)
    assert sorted(kept is None for kept in mixed.latents) == [False, False, True, True]
    assert mixed.pixels is not None and len(mixed.pixels) == 2 and fresh.pixels is not None
    for ours, theirs in zip(mixed.moments(model), fresh.moments(model), strict=True):
        # Pooling a mirrored picture adds in another order: 1e-6 is rounding.
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert torch.allclose(fresh.moments(model)[0], F.avg_pool2d(fresh.pixels, 8))


def test_masks_come_with_and_without_a_cache(tmp_path: Path) -> None:
    items = pictures(tmp_path / "all", 3, alpha_mask=True, flip=True)
    image = Image.open(items[0].path).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size).rotate(90, expand=False))
    image.save(items[0].path)
    plan, model, cache = planned(*items, batch_size=3), Model(), LatentCache(1, folder=tmp_path / "cache", vae="x")
    list(cache.fill(plan.pictures, lambda: model))
    for epoch in range(1, 5):
        batch = plan.batches(epoch)[0]
        kept, read = Loader(cache).load(batch).masks, Loader().load(batch).masks
        assert kept is not None and read is not None and torch.equal(kept, read) and kept.shape == (3, 1, 8, 8)
        assert [bool((mask == 1).all()) for mask in kept] == [sample.item != items[0] for sample in batch.samples]


def test_without_masks_there_are_none(tmp_path: Path) -> None:
    assert Loader().load(planned(*pictures(tmp_path / "all", 2)).batches(1)[0]).masks is None


def test_text_states_in_the_order_of_the_samples(tmp_path: Path) -> None:
    plan, model = planned(*pictures(tmp_path / "all", 4), batch_size=4), Model()
    for texts in (TextCache(), TextCache(folder=tmp_path / "cache", encoder="x")):
        list(texts.fill(plan.captions, lambda model=model: model))
        batch = plan.batches(2)[0]
        states = Loader(texts=texts).load(batch).states
        assert states is not None
        assert states.hidden[:, 0, 0].tolist() == [len(sample.caption) for sample in batch.samples]
    for file in (tmp_path / "cache").rglob("*.safetensors"):
        file.unlink()
    assert Loader(texts=texts).load(batch).states is None  # to be encoded in the turn


def test_what_overflows_is_told_with_its_picture(tmp_path: Path) -> None:
    class Overflowing(Model):
        def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mean, std = super().encode_images(pixels)
            mean[1] = float("nan")
            return mean, std

    batch = planned(*pictures(tmp_path / "all", 2)).batches(1)[0]
    with pytest.raises(UserError, match=rf"NaN.*{batch.samples[1].item.path.name}"):
        Loader().load(batch).moments(Overflowing())


def test_ahead_keeps_the_order_and_stays_a_few_batches_ahead() -> None:
    asked: list[int] = []

    def batches() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    reading = loading.ahead(batches(), lambda number: number * 2)
    found = [next(reading) for _ in range(10)]
    assert found == [number * 2 for number in range(10)]
    assert len(asked) <= 10 + loading._BATCHES_AHEAD + 1
    reading.close()


def test_a_batch_that_cannot_be_read_fails_in_its_turn(tmp_path: Path) -> None:
    before, plan = set(threading.enumerate()), planned(*pictures(tmp_path / "all", 3), batch_size=1)
    batches: list[Batch] = [plan.batches(1)[number] for number in range(3)]
    batches[1].samples[0].item.path.unlink()
    reading = loading.ahead(batches, Loader().load)
    assert next(reading).batch == batches[0]
    with pytest.raises(UserError, match="can no longer be used"):
        next(reading)
    reading.close()
    assert set(threading.enumerate()) <= before
