"""Filling caches for a run: shared among processes, refused when too big, told apart by the encoders."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.caches import cache_size
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.masks import MaskFolders
from lib_trainer.data.plan import Plan
from lib_trainer.data.scanning.scan import scan
from lib_trainer.errors import UserError
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import caching, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.run import Run
from tests import tiny_families
from tests.conftest import Settings
from tests.data_tests.drawn import noisy
from tests.data_tests.fill_cache import Model
from tests.told_sizes import told_sizes


class Together:
    """Two processes as threads: whoever gathers waits for the other."""

    size = 2

    def __init__(self, rank: int, barrier: Barrier) -> None:
        self.rank, self._barrier = rank, barrier

    def gather(self, value: object) -> list[object]:
        self._barrier.wait(60)
        return [value, value]


def process(rank: int, barrier: Barrier, plan: Plan, paths: HostPaths) -> int:
    """Fills the cache as one of two processes; returns how many pictures it encoded."""
    model = Model()
    state: Any = SimpleNamespace(
        config=TrainConfig(cache_to_disk=True), plan=plan, held_out=SimpleNamespace(pictures=[]), controls=Controls(),
        host=SimpleNamespace(paths=paths), turn=lambda: model, world=Together(rank, barrier))
    filling = caching._latents(cast(Run, state), MaskFolders())
    events = []
    try:
        while True:
            events.append(next(filling))
    except StopIteration as ended:
        cache = ended.value
    assert all(cache.find(sample) for batch in plan.batches(1) for sample in batch.samples)
    return model.encoded - 1  # one of them is the test picture by which the VAE is told apart


def test_processes_encode_a_share_each_and_find_the_others(tmp_path: Path) -> None:
    for number in range(9):
        noisy(tmp_path / "pics" / f"{number}.png", (64, 64), seed=number)
    plan = Plan([Dataset(scan(tmp_path / "pics").items, Buckets(64, 64, 64))], seed=1)
    folder, barrier = tmp_path / "host", Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(process, rank, barrier, plan, HostPaths(folder, folder, folder, folder)) for rank in (0, 1)]
        assert sorted(one.result() for one in both) == [4, 5]


@pytest.mark.parametrize(("free", "told"), [(5_000, "cached latents of 3 pictures need"), (13_000, "3 captions need")])
def test_caches_that_do_not_fit_are_refused_before_they_are_full(
    free: int, told: str, host: StandaloneHost, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pictures of 64 px take 3 * (8 * 8 * 8 * 4 + 2000) bytes, three captions of the tiny encoder 29 568."""
    monkeypatch.setattr(cache_size, "free_memory", lambda: free)
    config = settings(train_text_encoder=False)
    with pytest.raises(UserError, match=told) as refused:
        list(recipe.run(config, host, Controls()))
    remedy = "Keep the cache" if "latents" in told else "Keep the caption cache"
    assert f"switch '{remedy}' on" in str(refused.value)
    events = list(recipe.run(settings(
        name="kept", train_text_encoder=False, cache_to_disk=True, cache_captions_to_disk=True, epochs=1), host,
        Controls()))
    assert isinstance(events[-1], ev.Finished)


def test_encoders_are_told_apart(host: StandaloneHost, other_checkpoint: Path) -> None:
    with host.borrow_model() as lease, lease.turn() as model:
        ours = caching.encoder_digest(model, 1), caching.vae_digest(model)
        assert ours == (caching.encoder_digest(model, 1), caching.vae_digest(model))
        assert caching.encoder_digest(model, 2) != ours[0]
        text = next(target for target in model.targets() if target.name.startswith("lora_te_"))
        weight = text.module.weight
        assert isinstance(weight, torch.Tensor)
        before = weight.detach().clone()
        with torch.no_grad():
            weight.view(-1)[0] += 0.001  # too little for what the encoder says to change when rounded
        changed = caching.encoder_digest(model, 1)
        with torch.no_grad():
            weight.copy_(before)
        assert changed != ours[0] and caching.encoder_digest(model, 1) == ours[0]
    other = StandaloneHost(other_checkpoint, host.paths)
    with other.borrow_model() as lease, lease.turn() as model:
        assert caching.encoder_digest(model, 1) != ours[0] and caching.vae_digest(model) != ours[1]


def test_sdxl_at_two_sizes_mirrored_from_memory_disk_and_a_second_run(
    tmp_path: Path, settings: Settings, pictures: Path
) -> None:
    """The same pictures in two data sets, pooled vectors and true crops: all ways learn the same bits."""
    for path in pictures.glob("*.png"):
        noisy(path, (96, 64), seed=len(path.name))
    sets = tmp_path / "sets.toml"
    sets.write_text("".join(
        f"[[datasets]]\nresolution = {size}\nbatch_size = {size // 64}\n[[datasets.subsets]]\n"
        f"image_dir = {str(pictures)!r}\n" for size in (64, 128)), encoding="utf8")
    host = StandaloneHost(tiny_families.write(tmp_path, "sdxl"), HostPaths(*(tmp_path / name for name in "abcd")))
    common: dict[str, Any] = {
        "datasets": str(sets), "images": "", "train_text_encoder": False, "flip": True, "random_crop": True,
        "cache_variants": 2, "epochs": 2, "save_precision": "float", "blocks": "OUT03-OUT05"}
    disk = {"cache_to_disk": True, "cache_captions_to_disk": True}
    with told_sizes(host) as told:
        found = {name: train(settings(name=name, **common, **way), host) for name, way in (
            ("memory", {}), ("disk", disk), ("again", disk))}
    assert len(set(found.values())) == 1
    assert len({tuple(sizes[4:]) for sizes in told}) == 2
    assert len({tuple(sizes[2:4]) for sizes in told}) > 1  # crops are drawn, and told


def train(config: TrainConfig, host: StandaloneHost) -> str:
    """Returns the hash of what was learned."""
    assert isinstance(list(recipe.run(config, host, Controls()))[-1], ev.Finished)
    return file.load(host.paths.loras / f"{config.name}.safetensors").metadata["sshs_model_hash"]
