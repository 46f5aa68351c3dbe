"""The plan: balance of regularisation, batches, and what the seed decides."""
from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data.balance import balance
from lib_trainer.data.buckets import Buckets
from lib_trainer.data.captions.caption_rules import CaptionRules
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.picture_rules import PictureRules
from lib_trainer.data.plan import Plan
from lib_trainer.data.steps import Length, run_length
from tests.data_tests.items import item

BUCKETS = Buckets(128, 128, 64)
COUNTS = json.loads((Path(__file__).parents[1] / "data" / "dataset_counts.json").read_text())["cases"]
MIRRORED = PictureRules(flip=True)


def planned(items: list[Item], buckets: Buckets = BUCKETS, batch_size: int = 1, seed: int = 1) -> Plan:
    """The plan of one data set."""
    return Plan([Dataset(items, buckets, batch_size)], seed=seed)


def several(count: int, repeats: int, is_reg: bool = False, size: tuple[int, int] = (128, 128)) -> list[Item]:
    return [item(f"{'r' if is_reg else 'i'}{index}", repeats, is_reg, size) for index in range(count)]


def test_verified_example() -> None:
    # Measured with sd-scripts: 6 pictures x 2, 3 regularisation pictures, batch 4 -> 24 uses, 6 batches, 6 updates.
    plan = planned(several(6, 2) + several(3, 1, is_reg=True), batch_size=4)
    assert (plan.images, plan.reg_images, plan.samples_per_epoch, plan.batches_per_epoch) == (6, 3, 24, 6)
    assert run_length(plan.batches_per_epoch, 2, 2, 0) == Length(6, 2)


@pytest.mark.parametrize(
    ("images", "reg", "expected"),
    [
        ((6, 2), (3, 1), [4, 4, 4]),
        ((5, 1), (3, 1), [2, 2, 1]),
        ((2, 2), (9, 1), [1, 1, 1, 1]),  # the surplus is left out
        ((4, 1), (9, 3), [3, 3]),  # the last one taken overshoots
        ((4, 1), (0, 1), []),
        ((0, 1), (3, 1), []),
    ],
)
def test_balance(images: tuple[int, int], reg: tuple[int, int], expected: list[int]) -> None:
    used = balance(several(*images) + several(*reg, is_reg=True))
    assert [repeats for one, repeats in used if one.is_reg] == expected
    assert [repeats for one, repeats in used if not one.is_reg] == [images[1]] * images[0]


@pytest.mark.parametrize(("size", "buckets", "expected", "mirrored"), [
    # 1920x1080 in 1344x768: scaled to 1365x768, of which 10 columns are cut off left and 11 right
    ((1920, 1080), Buckets(1024, 1024, 32, maximum=1344),
     (1080, 1920, 0, 10, 768, 1344), (1080, 1920, 0, 11, 768, 1344)),
    ((1024, 1024), Buckets(1024, 1024, 32), (1024, 1024, 0, 0, 1024, 1024), (1024, 1024, 0, 0, 1024, 1024)),
    ((64, 200), Buckets(64, 64, 64, enabled=False), (200, 64, 68, 0, 64, 64), (200, 64, 68, 0, 64, 64)),
])
def test_size_ids_are_of_the_picture_and_the_crop(
    size: tuple[int, int], buckets: Buckets, expected: tuple[int, ...], mirrored: tuple[int, ...]
) -> None:
    plan = planned([item("i", 8, size=size, pictures=MIRRORED)], buckets)
    found = {sample.flip: sample.size_ids for batch in plan.batches(1) for sample in batch.samples}
    assert found == {False: expected, True: mirrored}


def test_surplus_is_counted() -> None:
    plan = planned(several(2, 2) + several(9, 1, is_reg=True))
    assert (plan.reg_images, plan.dropped_reg) == (4, 5)
    assert plan.notes[0].startswith("5 of 9 regularisation pictures")
    assert planned(several(2, 2) + several(4, 1, is_reg=True)).notes == []


def test_batches_stay_inside_a_bucket() -> None:
    items = several(5, 1) + [item(f"wide{index}", 3, size=(256, 64)) for index in range(3)]
    plan = planned(items, batch_size=4)
    assert plan.bucket_counts == {(128, 128): 5, (256, 64): 9}
    assert plan.batches_per_epoch == 2 + 3 == len(plan.batches(1))
    assert sorted(len(batch.samples) for batch in plan.batches(1)) == [1, 1, 4, 4, 4]
    for batch in plan.batches(1):
        assert len({sample.placement.bucket for sample in batch.samples}) == 1


@given(
    counts=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=12),
    batch_size=st.integers(1, 5), epoch=st.integers(1, 3),
)
def test_every_use_comes_once_per_epoch(counts: list[tuple[int, bool]], batch_size: int, epoch: int) -> None:
    items = [item(f"p{index}", repeats, size=(256, 64) if wide else (128, 128))
             for index, (repeats, wide) in enumerate(counts)]
    plan = planned(items, batch_size=batch_size, seed=7)
    samples = [sample for batch in plan.batches(epoch) for sample in batch.samples]
    assert Counter(sample.item.key for sample in samples) == {one.key: one.repeats for one in items}
    assert len({sample.key for sample in samples}) == len(samples) == plan.samples_per_epoch
    assert all(sample.key == f"{sample.item.key}#{sample.repeat_index}" for sample in samples)


def test_the_seed_decides_everything() -> None:
    shuffled = CaptionRules(shuffle=True)
    items = [item(f"p{index}", 3, text="a, b, c, d, e", captions=shuffled, pictures=MIRRORED) for index in range(5)]

    def epoch(seed: int, number: int) -> list[tuple[str, str, bool]]:
        plan = planned(items, batch_size=2, seed=seed)
        return [(one.key, one.caption, one.flip) for batch in plan.batches(number) for one in batch.samples]

    random.seed(1)
    state = random.getstate()
    assert epoch(1, 2) == epoch(1, 2)
    assert epoch(1, 2) != epoch(2, 2)
    assert epoch(1, 2) != epoch(1, 3)
    assert random.getstate() == state


def test_every_epoch_has_its_own_order_and_mixes_the_buckets() -> None:
    items = several(12, 1) + [item(f"wide{index}", size=(256, 64)) for index in range(12)]
    plan = planned(items, batch_size=2)
    widths = [[batch.samples[0].placement.bucket[0] for batch in plan.batches(epoch)] for epoch in (1, 2)]
    assert widths[0] != widths[1]
    assert sorted(widths[0]) != widths[0] != sorted(widths[0], reverse=True)
    inside = [[[one.key for one in batch.samples] for batch in plan.batches(epoch)] for epoch in (1, 2)]
    assert sorted(inside[0]) != sorted(inside[1])  # other companions, not only another order of the batches


def test_pictures_lie_bucket_by_bucket() -> None:
    items = [item("a", size=(256, 64)), item("b"), item("c", size=(256, 64)), item("d")]
    plan = planned(items)
    assert [picture.item.key for picture in plan.pictures] == ["b", "d", "a", "c"]


def test_an_epoch_is_a_sequence() -> None:
    batches = planned(several(7, 1), batch_size=2).batches(4)
    assert list(batches)[2:] == list(batches[2:])
    assert batches[-1] == list(batches)[-1]
    with pytest.raises(IndexError):
        batches[4]


def test_half_are_mirrored() -> None:
    plan = planned([item(f"i{index}", 20, pictures=MIRRORED) for index in range(20)])
    mirrored = sum(sample.flip for batch in plan.batches(1) for sample in batch.samples)
    # 400 fair draws: five standard deviations are 50.
    assert abs(mirrored - 200) < 50
    assert not any(s.flip for b in planned(several(9, 1)).batches(1) for s in b.samples)


def test_captions_that_can_occur() -> None:
    items = [item("a", text="x"), item("b", text="y"), item("c", text="x")]
    assert planned(items).captions == ["x", "y"]
    dropping = planned([item(one.file, text=one.caption, captions=CaptionRules(caption_dropout=0.1)) for one in items])
    assert dropping.captions == ["", "x", "y"]


def test_mean_aspect_error_is_weighted_by_uses() -> None:
    # As in sd-scripts' metadata: buckets 1:1; the pictures differ by 0 (three uses) and by 1/16 (one use).
    items = [item("a", 3), item("b", 1, size=(136, 128))]
    assert planned(items).mean_ar_error == pytest.approx(0.0625 / 4)


def test_without_broken_pictures() -> None:
    dataset = Dataset(several(3, 1), BUCKETS, 2)
    assert [one.file for one in dataset.without({Path("i1"), Path("elsewhere")}).items] == ["i0", "i2"]


def test_data_sets_are_cut_into_batches_on_their_own_and_shuffled_together() -> None:
    small = Dataset([item(f"a{index}") for index in range(5)], BUCKETS, 2)
    large = Dataset([item(f"b{index}", size=(512, 512)) for index in range(6)], Buckets(256, 256, 64), 4)
    plan = Plan([small, large], seed=1)
    assert (plan.images, plan.samples_per_epoch, plan.batches_per_epoch) == (11, 11, 3 + 2)
    assert plan.bucket_counts == {(128, 128): 5, (256, 256): 6}
    widths = set()
    for epoch in range(1, 9):
        batches = list(plan.batches(epoch))
        assert sorted(len(batch.samples) for batch in batches) == [1, 2, 2, 2, 4]
        assert all(len({sample.placement.bucket for sample in batch.samples}) == 1 for batch in batches)
        assert sorted(s.item.file for batch in batches for s in batch.samples) == [
            *(f"a{index}" for index in range(5)), *(f"b{index}" for index in range(6))]
        widths.add(tuple(batch.samples[0].placement.bucket[0] for batch in batches))
    assert len(widths) > 1


def test_every_data_set_is_balanced_on_its_own() -> None:
    first = Dataset(several(4, 2) + several(2, 1, is_reg=True), BUCKETS)
    second = Dataset([item("x", 3)], BUCKETS)
    plan = Plan([first, second], seed=1)
    assert (plan.images, plan.reg_images, plan.samples_per_epoch) == (5, 2, 8 + 8 + 3)
    assert [(share.images, share.reg_images, share.image_uses, share.reg_uses) for share in plan.shares] == [
        (4, 2, 8, 8), (1, 0, 3, 0)]
    assert sum(share.batches_per_epoch for share in plan.shares) == plan.batches_per_epoch


def test_the_moment_counts_updates() -> None:
    # 7 batches, 3 per update: an epoch has updates of 3, 3 and 1 batches.
    plan = Plan([Dataset(several(7, 1), BUCKETS)], seed=1, accumulation=3, epochs=4)
    assert plan.updates == 12
    assert [plan.moment(2, batch).update for batch in range(7)] == [3, 3, 3, 4, 4, 4, 5]


@pytest.mark.parametrize("number", range(len(COUNTS)))
def test_counts_of_several_data_sets_are_those_of_sd_scripts(number: int) -> None:
    case = COUNTS[number]
    datasets, uses = [], []
    for index, asked in enumerate(case["datasets"]):
        items = [
            item(f"{index}.{subset}/{place}", one["repeats"], one["is_reg"], tuple(size))
            for subset, one in enumerate(asked["subsets"]) for place, size in enumerate(one["sizes"])
        ]
        buckets = Buckets(asked["resolution"], asked["resolution"], 64, minimum=64, maximum=512,
                          no_upscale=asked["no_upscale"])
        datasets.append(Dataset(items, buckets, asked["batch_size"]))
        uses.append([one.repeats for one in items if not one.is_reg])
    plan = Plan(datasets, seed=1)
    assert plan.batches_per_epoch == case["batches"] == len(plan.batches(1))
    assert sum(map(sum, uses)) == sum(found["train"] for found in case["found"])
    for dataset, found in zip(datasets, case["found"], strict=True):
        alone = Plan([dataset], seed=1)
        counts = {f"{width}x{height}": count for (width, height), count in alone.bucket_counts.items()}
        assert counts == found["buckets"]
        assert len(alone.pictures) == found["pictures"] and alone.batches_per_epoch == found["batches"]


def test_a_part_of_an_epoch_knows_when_it_is() -> None:
    growing = CaptionRules(warmup_step=1.0 - 1e-9)
    items = [item(f"p{index}", text="a, b, c, d, e, f", captions=growing) for index in range(9)]
    batches = Plan([Dataset(items, BUCKETS)], seed=1, accumulation=2, epochs=2).batches(1)
    captions = [batch.samples[0].caption for batch in batches]
    assert len(set(captions)) > 2
    assert [batch.samples[0].caption for batch in batches[4:][1:]] == captions[5:]
    assert batches[-2].samples[0].caption == captions[-2]
