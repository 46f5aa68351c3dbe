"""Trainings from dataset files, metadata files and folders with repeats, from the settings to the finished LoRA."""
from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.errors import Problems
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, config_reading, outset, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.forecast import forecast
from tests.data_tests.drawn import caption, picture

FILE = """
[general]
enable_bucket = true
min_bucket_reso = 64
max_bucket_reso = 128
caption_extension = ".txt"

[[datasets]]
resolution = 64
batch_size = 2
  [[datasets.subsets]]
  image_dir = "faces"
  num_repeats = 3
  shuffle_caption = true
  keep_tokens = 1
  enable_wildcard = true
  [[datasets.subsets]]
  image_dir = "reg"
  is_reg = true
  class_tokens = "girl"
  custom_attributes.diff_output_preservation = true

[[datasets]]
resolution = 128
batch_size = 1
  [[datasets.subsets]]
  image_dir = "faces"
  flip_aug = true
  caption_prefix = "photo of"
  [[datasets.subsets]]
  metadata_file = "meta.json"
  image_dir = "bodies"
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two faces and two bodies in two resolutions, one of the faces wide, with one regularisation picture."""
    folder = tmp_path / "set"
    picture(folder / "faces" / "a.png", (64, 64))
    picture(folder / "faces" / "b.png", (128, 64))
    caption(folder / "faces" / "a.txt", "zko, {red|blue} hat, smile")
    caption(folder / "faces" / "b.txt", "zko, x\nzko, y")
    picture(folder / "reg" / "r.png", (64, 64))
    picture(folder / "bodies" / "c.png", (128, 128))
    picture(folder / "bodies" / "d.png", (128, 128))
    caption(folder / "meta.json", json.dumps({"c": {"caption": "zko", "tags": "standing"}, "d": {"tags": "zko"}}))
    return caption(folder / "data.toml", FILE)


def settings(dataset: Path, **changes: Any) -> TrainConfig:
    values = {"name": "zko", "datasets": str(dataset), "epochs": 2, "rank": 2, "alpha": 1.0, "learning_rate": "1e-3"}
    return config_reading.from_dict({**values, **changes})


def run(config: TrainConfig, host: StandaloneHost) -> list[ev.Event]:
    return list(recipe.run(config, host, Controls()))


def test_two_data_sets_train_together(dataset: Path, host: StandaloneHost) -> None:
    events = run(settings(dataset, epochs=1), host)
    (started,) = (event for event in events if isinstance(event, ev.Started))
    # At 64: 3 uses of either face, 6 of the regularisation picture, in batches of 2; at 128: 4 pictures one by one.
    assert (started.images, started.reg_images, started.batches_per_epoch) == (2 + 4, 1, 6 + 4)
    steps = [event for event in events if isinstance(event, ev.Stepped)]
    assert len(steps) == 10
    assert isinstance(events[-1], ev.Finished) and events[-1].trigger == "zko"
    tensors = file.load(host.paths.loras / "zko.safetensors").tensors
    assert any(tensor.abs().max() > 0 for name, tensor in tensors.items() if "lora_up" in name)
    assert forecast(settings(dataset, name="other"), host).steps == 20


def test_what_every_use_looks_like(dataset: Path, host: StandaloneHost) -> None:
    config = settings(dataset)
    plan = outset.plan(config, check.check(config, host).datasets)
    uses = [sample for epoch in (1, 2, 3) for batch in plan.batches(epoch) for sample in batch.samples]
    sizes = Counter((sample.item.key, sample.placement.bucket) for sample in uses)
    assert sizes == {
        ("0.0/a.png", (64, 64)): 9, ("0.0/b.png", (64, 64)): 9, ("0.1/r.png", (64, 64)): 18,
        ("1.0/a.png", (128, 128)): 3, ("1.0/b.png", (128, 64)): 3, ("1.1/c.png", (128, 128)): 3,
        ("1.1/d.png", (128, 128)): 3,
    }
    captions = {key: {sample.caption for sample in uses if sample.item.key == key} for key, _ in sizes}
    assert captions["0.0/a.png"] <= {f"zko, {tags}" for c in ("red", "blue")
                                     for tags in (f"{c} hat, smile", f"smile, {c} hat")}
    assert captions["0.0/b.png"] == {"zko, x", "zko, y"}
    assert captions["0.1/r.png"] == {"girl"}
    assert captions["1.0/a.png"] == {"photo of zko, {red|blue} hat, smile"}
    assert captions["1.1/c.png"] == {"zko,standing"} and captions["1.1/d.png"] == {"zko"}
    assert {sample.item.subset.keeps_base for sample in uses if sample.item.is_reg} == {True}
    assert not any(sample.flip for sample in uses if not sample.item.key.startswith("1.0/"))


def test_the_same_run_gives_the_same_bits(dataset: Path, host: StandaloneHost) -> None:
    """Some captions come from the cache, those that vary are encoded at every use."""
    first, second = (run(settings(dataset, name=name, steps=4, train_text_encoder=False), host)[-1]
                     for name in ("a", "b"))
    assert isinstance(first, ev.Finished) and isinstance(second, ev.Finished)
    states = [file.load(Path(event.file)).tensors for event in (first, second)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_all_faults_of_file_and_folders_are_told_together(dataset: Path, host: StandaloneHost) -> None:
    text = dataset.read_text(encoding="utf8")
    dataset.write_text(text.replace('"bodies"', '"nowhere"').replace("resolution = 128", "resolution = 8192").replace(
        "keep_tokens", "keep_token"), encoding="utf8")
    with pytest.raises(Problems) as caught:
        check.check(settings(dataset), host)
    told = str(caught.value)
    for words in ("datasets[0].subsets[0]: unknown key 'keep_token': did you mean 'keep_tokens'?",
                  "datasets[1]: The resolution 8192x8192 lies above the largest bucket side 128",
                  "datasets[1].subsets[1]: The metadata file"):
        assert words in told


def test_a_data_set_without_training_pictures(dataset: Path, host: StandaloneHost) -> None:
    text = dataset.read_text(encoding="utf8").replace("flip_aug = true", "is_reg = true")
    dataset.write_text(text[: text.rindex("[[datasets.subsets]]")], encoding="utf8")
    with pytest.raises(Problems, match=r"datasets\[1\] has no training pictures"):
        check.check(settings(dataset), host)


def test_folders_beside_a_dataset_file_are_refused(dataset: Path) -> None:
    with pytest.raises(Problems, match="with a dataset file all pictures come from it"):
        settings(dataset, images=str(dataset.parent / "faces"))


def test_a_metadata_file_of_the_form(dataset: Path, host: StandaloneHost) -> None:
    config = settings(dataset, datasets="", in_json=str(dataset.parent / "meta.json"), repeats=2,
                      images=str(dataset.parent / "bodies"), caption_separator=", ")
    findings = check.check(config, host)
    assert [(item.key, item.caption, item.repeats) for item in findings.items] == [
        ("images/c.png", "zko,standing", 2), ("images/d.png", "zko", 2)]


def test_a_warm_up_depends_on_the_update_and_the_length_of_the_run(dataset: Path, host: StandaloneHost) -> None:
    caption(dataset.parent / "faces" / "a.txt", "a, b, c, d, e, f")
    caption(dataset.parent / "faces" / "b.txt", "a, b, c, d, e, f")
    config = settings(dataset, datasets="", images=str(dataset.parent / "faces"), repeats=5, token_warmup_step=0.5,
                      batch_size=2, gradient_accumulation=2, epochs=4, resolution="64", bucket_min=64)
    plan = outset.plan(config, check.check(config, host).datasets)
    updates = plan.updates
    found = [(plan.moment(epoch, index).update, len(sample.caption.split(",")))
             for epoch in range(1, 5) for index, batch in enumerate(plan.batches(epoch)) for sample in batch.samples]
    assert max(update for update, _ in found) == updates - 1
    assert all(count == (min(6, update * 5 // (updates // 2) + 1)) for update, count in found)


def test_weights_of_captions_act_cached_or_not(dataset: Path, host: StandaloneHost) -> None:
    caption(dataset.parent / "faces" / "a.txt", "(zko:1.6), smile")
    caption(dataset.parent / "faces" / "b.txt", "zko, [smile]")
    values = {"datasets": "", "images": str(dataset.parent / "faces"), "repeats": 1, "resolution": "64", "steps": 2,
              "bucket_min": 64, "train_text_encoder": False}
    found = {}
    for name, changes in {"plain": {}, "cached": {"weighted_captions": True},
                          "anew": {"weighted_captions": True, "cache_captions": False}}.items():
        run(settings(dataset, **values, **changes, name=name), host)
        tensors = file.load(host.paths.loras / f"{name}.safetensors").tensors
        found[name] = torch.cat([tensor.flatten() for key, tensor in sorted(tensors.items()) if "lora_up" in key])
    # Encoded in a batch of all captions or for each use alone: the same but for rounding.
    torch.testing.assert_close(found["cached"], found["anew"], rtol=1e-2, atol=1e-6)
    assert not torch.allclose(found["plain"], found["cached"], rtol=1e-2, atol=1e-6)
