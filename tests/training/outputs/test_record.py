"""What a run tells of itself: trigger words, tags, and the record in its file."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_trainer.data.item import Item
from lib_trainer.data.subsets import Subset
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import config_reading, recipe
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.interchange import reading
from lib_trainer.training.outputs.record import prompt_tag, trigger_words
from tests.conftest import Settings


def items(*captions: str, is_reg: bool = False) -> list[Item]:
    subset = Subset("f", is_reg=is_reg)
    return [Item(subset, f"{i}.png", caption, 64, 64, captioned=True) for i, caption in enumerate(captions)]


@pytest.mark.parametrize(("captions", "class_tokens", "expected"), [
    (("zko, a", "zko, b", "c"), "", "zko"),
    (("zko (cosplay), a", "zko (cosplay)"), "", r"zko \(cosplay\)"),
    ((r"zko \(cosplay\), a",), "", r"zko \(cosplay\)"),
    (("a, zko", "b, zko"), "", ""),
    (("a, zko", "b, zko"), "hina wife", "hina wife"),
    (("", "", "zko"), "", ""),
    ((), "", ""),
])
def test_trigger(captions: tuple[str, ...], class_tokens: str, expected: str) -> None:
    found = [*items(*captions), *items("girl", "girl", "girl", "girl", is_reg=True)]
    assert trigger_words(TrainConfig(trigger=class_tokens), found) == expected
    assert trigger_words(TrainConfig(trigger=class_tokens, method="addift"), found) == ""


def test_tag() -> None:
    assert prompt_tag("SakuraScenery_v1.3") == "<lora:SakuraScenery_v1.3:1>"


CAPTIONED = {"shuffle_caption": True, "keep_tokens": 1, "caption_dropout": 0.1, "tag_dropout": 0.2,
             "caption_dropout_every": 3}
LEARNED = {"optimizer": "Lion", "optimizer_args": "betas=0.9,0.99 weight_decay=0.1", "learning_rate": "2e-4",
           "unet_lr": "1e-4", "text_encoder_lr": "5e-5", "scheduler": "cosine", "warmup": "50%", "max_grad_norm": 0.5,
           "seed": 7, "gradient_accumulation": 2, "gradient_checkpointing": True, "epochs": 2}
NETWORK = {"rank": 4, "alpha": 2.0, "conv_rank": 2, "conv_alpha": 1.0, "rank_dropout": 0.1, "network_dropout": 0.2,
           "scale_weight_norms": 1.0, "lora_plus": 4.0, "block_lrs": "IN04-IN07:0.5"}
NOISED = {"noise_offset": 0.05, "adaptive_noise_scale": 0.1, "multires_iterations": 3, "multires_discount": 0.2,
          "ip_noise_gamma": 0.1, "loss_type": "huber", "huber_schedule": "constant", "huber_c": 0.2,
          "min_snr_gamma": 5.0, "debiased_estimation": True, "prior_loss_weight": 0.5}
SHOWN = {"flip": True, "bucket_no_upscale": True, "bucket_min": 64, "bucket_max": 256, "bucket_step": 64,
         "resolution": "128", "batch_size": 2, "interpolation": "bicubic", "clip_skip": 2, "max_tokens": "150",
         "cache_latents": True}


@pytest.mark.parametrize("changes", [
    {**CAPTIONED, **LEARNED}, {**NETWORK, **SHOWN}, NOISED, {"algorithm": "lokr", "layers": "attn-only", "factor": 4},
    {"algorithm": "dylora", "rank": 4, "dylora_unit": 2, "train_text_encoder": False},
], ids=["captions and learning", "network and pictures", "noise", "lokr", "dylora"])
def test_a_lora_is_trained_again_like_it_was(host: StandaloneHost, settings: Settings, changes: dict[str, Any]) -> None:
    """What a run records is what it was set to: read from its file, the settings are the same."""
    if changes.get("algorithm") == "lokr":
        pytest.importorskip("lycoris")
    config = settings(**changes)
    list(recipe.run(config, host, Controls()))
    found = reading.of_lora(host.paths.loras / "zko.safetensors")
    assert found.problems == []
    again, faults = config_reading.read({**settings().to_dict(), **found.values})
    assert faults == []
    ours, theirs = config.to_dict(), again.to_dict()
    # Bucket sizes are recorded as they came out, steps and parts of the data not at all.
    assert {name: theirs[name] for name in changes if name != "bucket_step"} == {
        name: ours[name] for name in changes if name != "bucket_step"}
    assert {name for name in ours if ours[name] != theirs[name]} <= {
        "precision", "zero_terminal_snr", "resolution", "bucket_min", "bucket_max", "bucket_step", "steps", "epochs"}


def test_a_file_of_several_data_sets(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    folders = tmp_path / "sets"
    for name, sides in (("face", (64, 64)), ("body", (64, 128))):
        (folders / name).mkdir(parents=True)
        Image.new("RGB", sides, "red").save(folders / name / "a.png")
        (folders / name / "a.txt").write_text(f"zko, {name}", "utf8")
    path = tmp_path / "d.toml"
    path.write_text("".join(
        f"[[datasets]]\nresolution = {size}\nbatch_size = {batch}\nenable_bucket = true\n[[datasets.subsets]]\n"
        f"image_dir = '{folders / name}'\nnum_repeats = {repeats}\nflip_aug = true\ncaption_extension = '.txt'\n"
        for name, size, batch, repeats in (("face", 64, 1, 2), ("body", 128, 2, 1))), "utf8")
    list(recipe.run(settings(images="", datasets=str(path), steps=1), host, Controls()))
    facts = file.read_header(host.paths.loras / "zko.safetensors")[1]
    first, second = json.loads(facts["ss_datasets"])
    assert (first["resolution"], first["batch_size_per_device"], first["num_train_images"]) == ([64, 64], 1, 2)
    assert second["resolution"] == [128, 128] and second["subsets"][0]["num_repeats"] == 1
    assert first["subsets"][0]["flip_aug"] is True and first["subsets"][0]["image_dir"] == "face"
    assert json.loads(facts["ss_dataset_dirs"]) == {"face": {"n_repeats": 2, "img_count": 1},
                                                    "body": {"n_repeats": 1, "img_count": 1}}
    assert json.loads(facts["ss_tag_frequency"])["face"] == {"zko": 1, "face": 1}
    assert "ss_resolution" not in facts and facts["ss_num_train_images"] == "3"
