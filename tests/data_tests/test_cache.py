"""Caches, filled through turns of a model whose VAE is one line long."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.caches.latent_cache import LatentCache, Latents
from lib_trainer.data.caches.text_cache import TextCache
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.loading import Loader
from lib_trainer.data.picture_rules import Look, PictureRules
from lib_trainer.data.pictures import load_picture
from lib_trainer.data.plan import Plan
from lib_trainer.data.sample import Batch, Placed, Sample
from lib_trainer.data.scanning.scan import scan
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.host_model import Conditioning, HostModel
from tests.data_tests.drawn import caption, noisy, truncate


class TinyModel:
    """The part of `HostModel` that caching uses: latents are the picture shrunk 8 times, text states count letters."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.encoded: list[tuple[int, ...]] = []
        self.captions: list[list[str]] = []
        self.turns = 0
        self.fails_at = 0
        self.nan = False

    @contextmanager
    def turn(self) -> Iterator[HostModel]:
        self.turns += 1
        if self.turns == self.fails_at:
            raise ModelChanged("another checkpoint was loaded")
        yield cast(HostModel, self)

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.encoded.append(tuple(pixels.shape))
        mean = F.avg_pool2d(pixels, 8)
        return mean * float("nan") if self.nan else mean, mean.abs() + 1

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False, weighted: bool = False
    ) -> Conditioning:
        self.captions.append(list(captions))
        numbers = torch.tensor([[float(len(text)), float(clip_skip), float(chunks)] for text in captions])
        return Conditioning(numbers[:, None].expand(-1, 77 * chunks, -1), numbers)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    for index in range(5):
        noisy(tmp_path / "pics" / f"{index}.png", (128, 128) if index < 3 else (300, 80), seed=index)
        caption(tmp_path / "pics" / f"{index}.txt", f"caption {'x' * (index % 2)}")
    return planned(listed(tmp_path, flip=True))


def listed(folder: Path, **rules: Any) -> list[Item]:
    return scan(folder / "pics", subset=Subset("", pictures=PictureRules(**rules))).items


def planned(items: list[Item], side: int = 128) -> Plan:
    return Plan([Dataset(items, Buckets(side, side, 64), batch_size=2)], seed=1)


def sample_of(picture: Placed, flip: bool = False) -> Sample:
    return Sample(picture.item, Look(picture.placement, flip), "", 0, "")


def found(cache: LatentCache, sample: Sample) -> Latents:
    latents = cache.find(sample)
    assert latents is not None
    return latents


def expected(picture: Placed, flip: bool) -> torch.Tensor:
    return F.avg_pool2d(load_picture(picture.item.path, Look(picture.placement, flip))[0][None], 8)[0]


@pytest.fixture(params=["memory", "disk"])
def new_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LatentCache]:
    folder = tmp_path / "cache" if request.param == "disk" else None
    return lambda: LatentCache(1, folder=folder, vae="tiny")


def test_moments_of_every_picture(plan: Plan, new_cache: Callable[[], LatentCache]) -> None:
    cache, model = new_cache(), TinyModel()
    passed = [(one.what, one.done, one.total) for one in cache.fill(plan.pictures, model.turn, batch_size=2)]
    assert passed == [("latents", done, 5) for done in (2, 3, 5)]
    for picture in plan.pictures:
        for flip in (False, True):
            latents = found(cache, sample_of(picture, flip))
            mean, std = latents.mean, latents.std
            assert latents.mask is None
            # Pooling a mirrored picture adds in another order: 1e-6 is rounding.
            assert torch.allclose(mean, expected(picture, flip), atol=1e-6)
            assert torch.equal(std, mean.abs() + 1)
            assert (mean.dtype, mean.device.type) == (torch.float32, "cpu")


def test_one_turn_per_batch_of_one_bucket(plan: Plan, new_cache: Callable[[], LatentCache]) -> None:
    cache, model = new_cache(), TinyModel()
    list(cache.fill(plan.pictures, model.turn, batch_size=2))
    # Three squares and two wide pictures, each batch straight and mirrored.
    assert [shape[0] for shape in model.encoded] == [2, 2, 1, 1, 2, 2]
    assert model.turns == 6


def test_an_interrupted_filling_goes_on(plan: Plan, new_cache: Callable[[], LatentCache]) -> None:
    cache, model = new_cache(), TinyModel()
    model.fails_at = 4
    with pytest.raises(ModelChanged):
        list(cache.fill(plan.pictures, model.turn, batch_size=2))
    model.fails_at = 0
    assert [one.done for one in cache.fill(plan.pictures, model.turn, batch_size=2)] == [2, 3, 5]
    # Neither the three finished batches nor another cut: the numbers are those of an uninterrupted filling.
    assert [shape[0] for shape in model.encoded] == [2, 2, 1, 1, 2, 2]


def test_stopping_ends_before_the_next_turn(plan: Plan, new_cache: Callable[[], LatentCache]) -> None:
    model = TinyModel()
    list(new_cache().fill(plan.pictures, model.turn, batch_size=2, stopping=lambda: model.turns >= 2))
    assert model.turns == 2


def test_not_a_number_is_an_error(plan: Plan, new_cache: Callable[[], LatentCache]) -> None:
    model = TinyModel()
    model.nan = True
    with pytest.raises(UserError, match=r"NaN.*\.png"):
        list(new_cache().fill(plan.pictures, model.turn))


def test_pictures_that_cannot_be_read_are_told_once_and_left_out(
    plan: Plan, new_cache: Callable[[], LatentCache]
) -> None:
    gone, broken = plan.pictures[1].item.path, truncate(plan.pictures[3].item.path)
    gone.unlink()
    cache, model = new_cache(), TinyModel()
    told = [one.skipped for one in cache.fill(plan.pictures, model.turn) if one.skipped]
    assert [skip.path for skip in told] == [gone, broken]
    assert "No such file" in told[0].reason and "cut short" in told[1].reason
    assert sum(shape[0] for shape in model.encoded) == 6
    assert not any(one.skipped for one in cache.fill(plan.pictures, model.turn))


def test_a_picture_that_breaks_while_it_is_used(plan: Plan) -> None:
    truncate(plan.pictures[0].item.path)
    with pytest.raises(UserError, match=r"can no longer be used.*Mend it"):
        Loader().load(Batch([sample_of(plan.pictures[0])]))


def filled(plan: Plan, folder: Path, vae: str = "tiny") -> int:
    """Fills a new cache on disk; returns how many pictures had to be encoded."""
    cache, model = LatentCache(1, folder=folder, vae=vae), TinyModel()
    list(cache.fill(plan.pictures, model.turn, batch_size=2))
    for batch in plan.batches(1):
        for sample in batch.samples:
            pixels = load_picture(sample.item.path, sample.look, sample.item.subset.pictures)[0]
            # Pooling a mirrored picture adds in another order: 1e-6 is rounding.
            assert torch.allclose(found(cache, sample).mean, F.avg_pool2d(pixels[None], 8)[0], atol=1e-6)
    return sum(shape[0] for shape in model.encoded)


def test_the_next_run_finds_the_files(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert [filled(planned(listed(tmp_path)), folder) for _ in range(2)] == [5, 0]
    assert filled(plan, folder) == 5  # only the mirrored ones
    assert not list(folder.rglob("*.tmp"))


def test_files_are_stale_when_anything_changes(plan: Plan, tmp_path: Path) -> None:
    # training-reference 15.4: sd-scripts trains on the old latents in the first three cases.
    folder = tmp_path / "cache"
    plan = planned(listed(tmp_path))
    filled(plan, folder)
    assert filled(planned(listed(tmp_path), 64), folder) == 5
    assert filled(plan, folder, vae="another") == 5
    noisy(tmp_path / "pics" / "0.png", (128, 128), seed=99)
    assert filled(plan, folder) == 1
    assert filled(planned(listed(tmp_path, interpolation="box")), folder) == 5
    assert filled(planned(listed(tmp_path, background=(0, 0, 0))), folder) == 5
    assert filled(planned(listed(tmp_path, random_crop=True, variants=1)), folder) == 2  # squares have one crop
    assert filled(plan, folder) == 0


def test_variants_are_all_there(plan: Plan, tmp_path: Path) -> None:
    several = planned(listed(tmp_path, random_crop=True, color=True, flip=True, variants=3))
    assert filled(several, tmp_path / "cache") > 10  # two straight ones and two mirrored ones of most
    assert filled(several, tmp_path / "cache") == 0


def test_what_is_drawn_anew_at_every_use_is_not_kept(plan: Plan, tmp_path: Path) -> None:
    anew, model, cache = planned(listed(tmp_path, color=True)), TinyModel(), LatentCache(1)
    assert list(cache.fill(anew.pictures, model.turn)) == [] and not model.encoded
    assert cache.find(anew.batches(1)[0].samples[0]) is None


def test_one_picture_at_several_sizes(plan: Plan, tmp_path: Path, new_cache: Callable[[], LatentCache]) -> None:
    items, cache = listed(tmp_path), new_cache()
    both = Plan([Dataset(items, Buckets(side, side, 64), place=f"datasets[{side}]") for side in (64, 128)], seed=1)
    list(cache.fill(both.pictures, TinyModel().turn, batch_size=2))
    for batch in both.batches(1):
        for sample in batch.samples:
            assert found(cache, sample).mean.shape[1:] == tuple(side // 8 for side in reversed(sample.placement.bucket))


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"\xff" * 300])
def test_a_broken_file_is_made_anew(damage: bytes, plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    filled(plan, folder)
    file = sorted(folder.rglob("*.safetensors"))[0]
    file.write_bytes(damage or file.read_bytes()[:-10])
    assert filled(plan, folder) == 1


def test_a_file_that_vanishes_or_changes_during_the_run_is_not_used(plan: Plan, tmp_path: Path) -> None:
    cache = LatentCache(folder=tmp_path / "cache", vae="tiny")
    list(cache.fill(plan.pictures, TinyModel().turn))
    assert all(cache.find(sample_of(picture)) for picture in plan.pictures)
    for number, file in enumerate((tmp_path / "cache").rglob("*.safetensors")):
        content = bytearray(file.read_bytes())
        content[-20] ^= 1  # one bit of a number: only the checksum tells
        file.write_bytes(content) if number % 2 else file.unlink()
    assert not any(cache.find(sample_of(picture)) for picture in plan.pictures)


def test_a_folder_that_cannot_be_written(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    cache = LatentCache(folder=tmp_path / "cache", vae="tiny")
    with pytest.raises(UserError, match="switch keeping the cache"):
        list(cache.fill(plan.pictures, TinyModel().turn))


def test_captions_are_encoded_once(plan: Plan) -> None:
    cache, model = TextCache(clip_skip=2, chunks=3), TinyModel()
    for _ in range(2):
        passed = list(cache.fill(plan.captions, model.turn))
        assert [(one.what, one.done, one.total) for one in passed] == [("captions", 2, 2)]
    assert model.captions == [["caption", "caption x"]]
    found = cache.conditioning(["caption x", "caption", "caption x"])
    assert found is not None
    assert found.hidden.shape == (3, 231, 3)
    assert found.pooled is not None
    assert found.pooled.tolist() == [[9.0, 2.0, 3.0], [7.0, 2.0, 3.0], [9.0, 2.0, 3.0]]


def test_captions_in_batches_can_be_stopped() -> None:
    cache, model = TextCache(), TinyModel()
    captions = [f"tag {number}" for number in range(10)]
    list(cache.fill(captions, model.turn, batch_size=4, stopping=lambda: model.turns >= 1))
    assert [len(chunk) for chunk in model.captions] == [4]
    list(cache.fill(captions, model.turn, batch_size=4))
    assert [len(chunk) for chunk in model.captions] == [4, 4, 2]
