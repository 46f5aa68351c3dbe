"""In -> out -> in: what sd-scripts and we both know survives every format."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib_trainer.training import config_reading
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange import reading
from lib_trainer.training.interchange.exporting import export
from lib_trainer.training.interchange.imported import COMMAND, DATASET, GUI, OURS, SD_SCRIPTS
from lib_trainer.training.interchange.shell import ENDINGS
from lib_trainer.training.interchange.writing import options

WORDS = st.text("abz_-. é漢", min_size=1, max_size=8).map(str.strip).filter(
    lambda word: word and word != "None" and not word.startswith("-") and not word.endswith("."))
BOOL = st.booleans()
RATE = st.sampled_from([1e-4, 5e-5, 1.0, 0.5, 2e-6, 0.0003])
PART = st.sampled_from([0.0, 0.1, 0.25, 0.5])

GIVEN: dict[str, st.SearchStrategy[Any]] = {
    "pretrained_model_name_or_path": WORDS, "train_data_dir": WORDS, "reg_data_dir": WORDS, "output_dir": WORDS,
    "output_name": WORDS, "training_comment": WORDS, "resolution": st.sampled_from(["512,512", "768,512", "1024,1024"]),
    "enable_bucket": BOOL, "min_bucket_reso": st.sampled_from([256, 320]), "max_bucket_reso": st.just(1024),
    "resize_interpolation": st.sampled_from(["lanczos", "bilinear", "linear", "cubic", "nearest", "area"]),
    "bucket_reso_steps": st.sampled_from([64, 128]), "bucket_no_upscale": BOOL, "flip_aug": BOOL, "color_aug": BOOL,
    "cache_latents": BOOL, "caption_extension": st.sampled_from([".txt", ".caption"]), "shuffle_caption": BOOL,
    "keep_tokens": st.integers(0, 3), "caption_dropout_rate": PART, "caption_tag_dropout_rate": PART,
    "caption_prefix": WORDS, "enable_wildcard": BOOL, "clip_skip": st.integers(1, 2),
    "max_token_length": st.sampled_from([150, 225]), "token_warmup_step": st.sampled_from([0, 0.5, 100]),
    "network_dim": st.integers(1, 128), "network_alpha": st.sampled_from([1, 4.0, 0.5]),
    "network_dropout": PART, "scale_weight_norms": st.just(1.0), "network_train_unet_only": BOOL,
    "unet_lr": RATE, "learning_rate": RATE, "text_encoder_lr": st.lists(RATE, min_size=1, max_size=2),
    "optimizer_type": st.sampled_from(["AdamW", "Lion", "Prodigy"]),
    "optimizer_args": st.just(["weight_decay=0.1", "betas=0.9,0.99"]),
    "lr_scheduler": st.sampled_from(["cosine", "cosine_with_restarts", "constant_with_warmup"]),
    "lr_warmup_steps": st.sampled_from([0, 100, 0.1]), "lr_scheduler_num_cycles": st.integers(1, 4),
    "max_train_steps": st.integers(1, 9999), "max_train_epochs": st.integers(1, 99), "seed": st.integers(0, 2**31),
    "min_snr_gamma": st.just(5.0), "noise_offset": st.sampled_from([0.05, 0.1]), "prior_loss_weight": PART,
    "loss_type": st.sampled_from(["l1", "l2", "huber", "smooth_l1"]), "huber_c": PART.filter(bool),
    "min_timestep": st.integers(0, 500), "max_timestep": st.integers(501, 1000), "v_parameterization": BOOL,
    "mixed_precision": st.sampled_from(["no", "fp16", "bf16"]), "gradient_checkpointing": BOOL,
    "gradient_accumulation_steps": st.integers(1, 8), "save_precision": st.sampled_from(["float", "fp16", "bf16"]),
    "save_every_n_epochs": st.integers(1, 9), "save_every_n_steps": st.integers(1, 999),
    "logging_dir": WORDS, "log_prefix": WORDS,
    "save_last_n_epochs": st.integers(1, 9), "metadata_author": WORDS, "no_metadata": BOOL,
    "network_args": st.sampled_from([
        ["conv_dim=4", "conv_alpha=2"], ["rank_dropout=0.1"], ["loraplus_lr_ratio=16"],
        ["block_dims=" + ",".join(["4"] * 25)], ["down_lr_weight=sine+0.25", "mid_lr_weight=1", "up_lr_weight=cosine"],
    ]),
}


@st.composite
def given_options(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(GIVEN)), unique=True, max_size=14))
    values = {"network_module": "networks.lora"} | {name: draw(GIVEN[name]) for name in chosen}
    if values.get("color_aug"):  # contradicts a cache, so it is not written with one
        values.pop("cache_latents", None)
    return values


def imported(values: dict[str, Any]) -> TrainConfig:
    found = reading.of_values(values)
    assert found.kind == SD_SCRIPTS and not found.faults
    return config_reading.read(found.values)[0]


@given(values=given_options())
@example(values={"network_module": "lycoris.kohya", "network_args": ["algo=lokr", "factor=8", "dora_wd=True"]})
@example(values={"network_module": "lycoris.kohya", "network_args": ["preset=attn-mlp", "algo=loha"]})
@example(values={"network_module": "networks.dylora", "network_dim": 8, "network_args": ["unit=4"]})
@example(values={"network_module": "networks.oft", "network_train_unet_only": True})
@example(values={"network_module": "networks.lora_fa", "save_state": True, "save_every_n_epochs": 2})
@example(values={"network_module": "networks.lora", "base_weights": ["a.pt"], "base_weights_multiplier": [0.5]})
@example(values={"network_module": "networks.lora", "network_weights": "a", "network_alpha": 2})
@example(values={"network_module": "networks.lora", "sample_prompts": "p.txt", "sample_sampler": "euler_a"})
@settings(max_examples=60)
def test_what_both_know_survives(values: dict[str, Any]) -> None:
    config = imported(values)
    for kind, shell in ((SD_SCRIPTS, "bash"), *((COMMAND, shell) for shell in ENDINGS)):
        written = export(config, kind, shell_kind=shell)
        again = reading.read_text(written.text)
        assert again.kind == kind and not again.faults
        assert config_reading.read(again.values)[0] == config, written.text


@given(values=given_options())
@settings(max_examples=40)
def test_kohya_ss_settings_survive(values: dict[str, Any]) -> None:
    values["seed"] = values.get("seed") or 7  # its window takes 0 as none
    for name in values.keys() & {"caption_prefix", "log_prefix"}:  # and no spaces in its additional parameters
        values[name] = values[name].replace(" ", "_")
    config = imported(values)
    written = export(config, GUI)
    again = reading.read_text(written.text)
    assert again.kind == GUI and not again.faults
    ours, theirs = config.to_dict(), config_reading.read(again.values)[0].to_dict()
    # Its window has one rate for each part, so a rate that follows the main one is written out; 0 is not given.
    for name in ("learning_rate", "unet_lr", "text_encoder_lr", "text_encoder2_lr", "cache_captions"):
        ours.pop(name), theirs.pop(name)
    assert theirs == ours


def test_ours_is_read_as_it_was_written() -> None:
    config = TrainConfig(name="a", rank=3, learning_rate="5e-6:20, 1e-7")
    again = reading.read_text(export(config, OURS).text)
    assert again.kind == OURS and config_reading.from_dict(again.values) == config


def test_what_cannot_be_said_there_is_named() -> None:
    config = TrainConfig(blocks="IN04-IN07", learning_rate="5e-6:2000, 5e-7", ema_decay=0.99, resolution="512")
    lost = " ".join(export(config, SD_SCRIPTS).lost)
    for name in ("blocks = 'IN04-IN07'", "ema_decay = 0.99", "learning_rate = '5e-6:2000, 5e-7'", "prediction = 'auto'",
                 "precision = 'auto'"):
        assert name in lost
    assert options(config).values["learning_rate"] == 5e-6


def test_ranks_by_the_names_of_blocks_are_named() -> None:
    written = options(TrainConfig(name="x", block_dims="IN04:8, OUT03-OUT06:16"))
    assert "network_args" not in written.values
    assert any("block_dims = 'IN04:8, OUT03" in line and "25 numbers" in line for line in written.lost)
    numbers = ",".join("4" for _ in range(25))
    assert f"block_dims={numbers}" in options(TrainConfig(name="x", block_dims=numbers)).values["network_args"]


def test_an_untouched_form_is_written_without_what_is_the_same_there() -> None:
    values = options(TrainConfig()).values
    assert "noise_offset" not in values and "flip_aug" not in values
    assert values["network_dim"] == 16 and values["caption_extension"] == ".txt" and values["enable_bucket"] is True


@pytest.mark.parametrize("flat", [True, False])
def test_a_dataset_file_names_the_folders(tmp_path: Path, flat: bool) -> None:
    folder = tmp_path / "pictures"
    for name in ([] if flat else ["10_zunko girl", "3_kiritan"]):
        (folder / name).mkdir(parents=True)
    folder.mkdir(exist_ok=True)
    config = TrainConfig(images=str(folder), reg_images=str(tmp_path / "reg"), repeats=7, trigger="zko", flip=True,
                         resolution="512,768", batch_size=2)
    found, fault = reading.parsed(export(config, DATASET).text)
    assert found is not None, fault
    (dataset,) = found["datasets"]
    assert found["general"]["flip_aug"] is True and dataset["resolution"] == [512, 768] and dataset["batch_size"] == 2
    named = [(Path(subset["image_dir"]).name, subset["num_repeats"], subset.get("class_tokens"),
              subset.get("is_reg", False)) for subset in dataset["subsets"]]
    trained = [("pictures", 7, "zko", False)] if flat else [("10_zunko girl", 10, "zunko girl", False),
                                                           ("3_kiritan", 3, "kiritan", False)]
    assert named == [*trained, ("reg", 1, None, True)]
    assert any("sub-folders named N_caption" in sentence for sentence in export(config, SD_SCRIPTS).lost) == flat


def test_what_the_window_cannot_take_is_named() -> None:
    lost = " ".join(export(TrainConfig(caption_prefix="a photo", seed=0, algorithm="oft_kohya"), GUI).lost)
    assert "caption_prefix = 'a photo'" in lost and "seed = 0" in lost and "networks.oft" in lost


def test_settings_of_the_window_are_complete() -> None:
    """A file that leaves a name out leaves the window as it was before."""
    data = json.loads(export(TrainConfig(), GUI).text)
    assert {"LoRA_type", "max_resolution", "optimizer", "noise_offset", "text_encoder_lr", "conv_dim", "unit",
            "additional_parameters", "xformers", "down_lr_weight", "sdxl"} <= data.keys()
