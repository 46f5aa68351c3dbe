"""Caches, filled through turns of a model whose VAE is one line long."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
import torch
import torch.nn.functional as F

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.cache import LatentCache, TextCache
from lib_trainer.data.dataset import Placed, Plan, Sample
from lib_trainer.data.pictures import load_pixels
from lib_trainer.data.scan import scan
from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.host import Conditioning, HostModel
from tests.data_tests.drawn import caption, noisy


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
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False
    ) -> Conditioning:
        self.captions.append(list(captions))
        numbers = torch.tensor([[float(len(text)), float(clip_skip), float(chunks)] for text in captions])
        return Conditioning(numbers[:, None].expand(-1, 77 * chunks, -1), numbers)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    for index in range(5):
        noisy(tmp_path / "pics" / f"{index}.png", (128, 128) if index < 3 else (300, 80), seed=index)
        caption(tmp_path / "pics" / f"{index}.txt", f"caption {'x' * (index % 2)}")
    return Plan(scan(tmp_path / "pics").items, Buckets(128, 128, 64), batch_size=2, seed=1, flip=True)


def sample_of(picture: Placed, flip: bool = False) -> Sample:
    return Sample(picture.item, picture.placement, flip, "", 0, "")


def expected(picture: Placed, flip: bool) -> torch.Tensor:
    return F.avg_pool2d(load_pixels(picture.item.path, picture.placement, flip)[None], 8)[0]


@pytest.fixture(params=["memory", "disk"])
def new_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LatentCache]:
    folder = tmp_path / "cache" if request.param == "disk" else None
    return lambda: LatentCache(flip=True, folder=folder, vae="tiny")


def test_moments_of_every_picture(plan: Plan, new_cache: Callable[[], LatentCache]) -> None:
    cache, model = new_cache(), TinyModel()
    passed = [(one.what, one.done, one.total) for one in cache.fill(plan.pictures, model.turn, batch_size=2)]
    assert passed == [("latents", done, 5) for done in (2, 3, 5)]
    for picture in plan.pictures:
        for flip in (False, True):
            mean, std = cache.moments(sample_of(picture, flip))
            # Pooling a mirrored picture adds in another order: 1e-6 is rounding.
            assert torch.allclose(mean, expected(picture, flip), atol=1e-6)
            assert torch.equal(std, mean.abs() + 1)
            assert (mean.dtype, mean.device.type) == (torch.float32, "cpu")


def test_batches_are_stacked(plan: Plan, new_cache: Callable[[], LatentCache]) -> None:
    cache = new_cache()
    list(cache.fill(plan.pictures, TinyModel().turn))
    for batch in plan.batches(1):
        mean, std = cache.batch(batch.samples)
        assert mean.shape == std.shape
        assert torch.equal(mean[-1], cache.moments(batch.samples[-1])[0])


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


def test_a_vanished_picture(plan: Plan, new_cache: Callable[[], LatentCache]) -> None:
    plan.pictures[1].item.path.unlink()
    with pytest.raises(UserError, match="can no longer be"):
        list(new_cache().fill(plan.pictures, TinyModel().turn))


def filled(plan: Plan, folder: Path, vae: str = "tiny", flip: bool = False) -> int:
    """Fills a new cache on disk; returns how many pictures had to be encoded."""
    cache, model = LatentCache(folder=folder, vae=vae, flip=flip), TinyModel()
    list(cache.fill(plan.pictures, model.turn, batch_size=2))
    for picture in plan.pictures:
        assert torch.allclose(cache.moments(sample_of(picture))[0], expected(picture, False), atol=1e-6)
    return sum(shape[0] for shape in model.encoded)


def test_the_next_run_finds_the_files(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert [filled(plan, folder) for _ in range(2)] == [5, 0]
    assert filled(plan, folder, flip=True) == 5  # only the mirrored ones
    assert not list(folder.rglob("*.tmp"))


def test_files_are_stale_when_anything_changes(plan: Plan, tmp_path: Path) -> None:
    # training-reference 15.4: sd-scripts trains on the old latents in all three cases.
    folder = tmp_path / "cache"
    filled(plan, folder)
    items = [picture.item for picture in plan.pictures]
    assert filled(Plan(items, Buckets(64, 64, 64), batch_size=1, seed=1), folder) == 5
    assert filled(plan, folder, vae="another") == 5
    noisy(items[0].path, (128, 128), seed=99)
    assert filled(plan, folder) == 1


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"\xff" * 300])
def test_a_broken_file_is_made_anew(damage: bytes, plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    filled(plan, folder)
    file = sorted(folder.rglob("*.safetensors"))[0]
    file.write_bytes(damage or file.read_bytes()[:-10])
    assert filled(plan, folder) == 1


def test_a_file_that_vanishes_during_the_run(plan: Plan, tmp_path: Path) -> None:
    cache = LatentCache(folder=tmp_path / "cache", vae="tiny")
    list(cache.fill(plan.pictures, TinyModel().turn))
    for file in (tmp_path / "cache").rglob("*.safetensors"):
        file.unlink()
    with pytest.raises(UserError, match="gone or broken"):
        cache.moments(sample_of(plan.pictures[0]))


def test_a_folder_that_cannot_be_written(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    cache = LatentCache(folder=tmp_path / "cache", vae="tiny")
    with pytest.raises(UserError, match="switch 'Keep the cache' off"):
        list(cache.fill(plan.pictures, TinyModel().turn))


def test_captions_are_encoded_once(plan: Plan) -> None:
    cache, model = TextCache(), TinyModel()
    for _ in range(2):
        passed = list(cache.fill(plan.captions, model.turn, clip_skip=2, chunks=3))
        assert [(one.what, one.done, one.total) for one in passed] == [("captions", 2, 2)]
    assert model.captions == [["caption", "caption x"]]
    found = cache.conditioning(["caption x", "caption", "caption x"])
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
