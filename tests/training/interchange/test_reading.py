"""What settings of other programs mean here, and what is told about them."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.lora import file
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange import reading
from lib_trainer.training.interchange.imported import COMMAND, DATASET, GUI, METADATA, OURS, SD_SCRIPTS, Imported

DATA = Path(__file__).parents[2] / "data"
RECORD: dict[str, str] = json.loads((DATA / "sd15_lora_metadata.json").read_text("utf8"))
SDXL_RECORD: dict[str, str] = json.loads((DATA / "sdxl_lora_metadata.json").read_text("utf8"))

WINDOW: dict[str, Any] = {
    "LoRA_type": "Standard", "pretrained_model_name_or_path": "/models/anime.safetensors",
    "train_data_dir": "/data/img", "reg_data_dir": "", "output_dir": "/loras", "output_name": "hina",
    "max_resolution": "768,768", "learning_rate": 5e-5, "unet_lr": "0.0001", "text_encoder_lr": 5e-5,
    "network_dim": 128, "network_alpha": "128",
    "optimizer": "AdamW8bit", "optimizer_args": '"weight_decay=0.1"', "lr_scheduler": "constant", "lr_warmup": "0",
    "epoch": "10", "max_train_steps": "", "train_batch_size": 1, "seed": "", "clip_skip": "2",
    "max_token_length": "150", "mixed_precision": "bf16", "save_precision": "fp16", "save_every_n_epochs": 1,
    "cache_latents": True, "enable_bucket": True, "min_bucket_reso": 512, "max_bucket_reso": 1024,
    "noise_offset_type": "Original", "noise_offset": "0.05", "multires_noise_iterations": 8, "xformers": True,
    "additional_parameters": "--min_timestep=10 --huber_c 0.2", "sample_prompts": "hina --n bad --d 1", "sdxl": False,
    "num_cpu_threads_per_process": 2, "stop_text_encoder_training_pct": 0, "keep_tokens": "1",
}


def changed(imported: Imported) -> dict[str, Any]:
    """The settings that are not as in an untouched form."""
    untouched = TrainConfig().to_dict()
    return {name: value for name, value in imported.values.items() if value != untouched[name]}


@pytest.mark.parametrize(("text", "kind"), [
    (TrainConfig(name="a").to_dict(), OURS), ({"name": "a", "rank": 3}, OURS), ({"resolution": 512}, OURS),
    ({"name": "a", "network_dim": 3}, OURS),  # ours may be written with kohya's names
    ({"network_dim": 3, "max_train_steps": 9}, SD_SCRIPTS), ({"a": {"output_name": "x"}, "b": {"seed": 1}}, SD_SCRIPTS),
    (WINDOW, GUI), (RECORD, METADATA), ("network_dim = 3\noutput_name = 'x'", SD_SCRIPTS),
    ("accelerate launch train_network.py --output_name x", COMMAND),
])
def test_kinds_are_told_apart(text: str | dict[str, Any], kind: str) -> None:
    assert reading.read_text(text if isinstance(text, str) else json.dumps(text)).kind == kind


@pytest.mark.parametrize(("text", "said"), [
    ("", "is nothing that is understood"), ("hello there", "no valid TOML"), ('{"a": 1', "no valid JSON"),
    ("[1, 2]", "is nothing that is understood"),
])
def test_other_texts_are_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        reading.read_text(text)


@given(st.text(max_size=60) | st.text("=[]{}\"'-\n #ab1,", max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        reading.read_text(text)
    except UserError as error:
        assert str(error).endswith(".")


def test_a_file_keeps_the_meaning_that_it_has_there() -> None:
    found = reading.read_text('train_data_dir = "/data"\noutput_name = "x"\nresolution = "512,512"')
    assert {name: value for name, value in changed(found).items() if name not in ("images", "name", "resolution")} == {
        "rank": 4, "alpha": 1.0, "learning_rate": "2e-6", "steps": 1600, "buckets": False, "bucket_min": 256,
        "bucket_max": 1024, "bucket_step": 64, "caption_extension": ".caption", "cache_latents": False,
        "precision": "fp32", "save_precision": "float", "interpolation": "area",
    }
    assert {sentence.split()[0] for sentence in found.assumed} == {
        "enable_bucket", "caption_extension", "resize_interpolation", "network_dim", "network_alpha", "learning_rate",
        "max_train_steps", "cache_latents", "mixed_precision", "save_precision", "seed",
    }
    assert ("network_alpha is not given: sd-scripts then takes 1.0, so alpha = 1.0 (an untouched form has 8.0)."
            in found.assumed)


def test_what_is_not_supported_is_named_with_what_to_do() -> None:
    found = reading.of_values({"output_name": "x", "vae": "a.vae.pt", "save_model_as": "ckpt", "lowram": True,
                               "wandb_api_key": "secret", "dataset_class": "", "zero_stage": 2, "unknown_thing": 1})
    assert [sentence.partition(":")[0] for sentence in found.unsupported] == [
        "vae = 'a.vae.pt'", "save_model_as = 'ckpt'", "wandb_api_key = ..."]
    assert [sentence.partition(":")[0] for sentence in found.needless] == ["lowram = True"]
    assert found.faults == ["unknown_thing = 1 is not an option of sd-scripts' LoRA trainers; leave it out."]
    assert "secret" not in json.dumps(found.told())


@pytest.mark.parametrize(("values", "said"), [
    ({"cache_latents": True, "color_aug": True}, "cache_latents and color_aug"),
    ({"cache_latents_to_disk": True, "random_crop": True}, "cache_latents and random_crop"),
    ({"cache_text_encoder_outputs": True}, "cache_text_encoder_outputs without network_train_unet_only"),
    ({"cache_text_encoder_outputs": True, "network_train_unet_only": True, "shuffle_caption": True},
     "cache_text_encoder_outputs and shuffle_caption"),
    ({"network_train_unet_only": True, "network_train_text_encoder_only": True}, "nothing would learn"),
    ({"lr_warmup_steps": 100}, "lr_scheduler = constant with lr_warmup_steps = 100"),
    ({"lr_scheduler_type": "CosineAnnealingLR", "lr_warmup_steps": 0.1}, "has no warm-up"),
    ({"lr_scheduler": "adafactor:1e-3"}, "belongs to the optimiser Adafactor, not to AdamW"),
    ({"use_8bit_adam": True, "optimizer_type": "Lion"}, "optimizer_type and use_8bit_adam"),
    ({"full_fp16": True, "mixed_precision": "bf16"}, "full_fp16 with mixed_precision = bf16"),
    ({"fp8_base": True}, "fp8_base without mixed_precision"),
    ({"adaptive_noise_scale": 0.1}, "adaptive_noise_scale without noise_offset"),
    ({"min_timestep": 600, "max_timestep": 500}, "no timestep lies between"),
    ({"v_pred_like_loss": 0.5, "v_parameterization": True}, "v_pred_like_loss with v_parameterization"),
    ({"zero_terminal_snr": True}, "zero_terminal_snr without v_parameterization"),
    ({"scale_v_pred_loss_like_noise_pred": True}, "scale_v_pred_loss_like_noise_pred without"),
    ({"v2": True, "clip_skip": 2}, "v2 with clip_skip = 2"),
    ({"dim_from_weights": True}, "dim_from_weights without network_weights"),
    ({"base_weights": ["a"], "base_weights_multiplier": [1, 2]}, "2 numbers for 1 base_weights"),
    ({"network_module": "networks.dylora", "network_args": ["conv_dim=8"]}, "DyLoRA needs the same"),
    ({"network_module": "networks.dylora", "network_dim": 8, "network_args": ["unit=3"]}, "multiple of the unit"),
    ({"network_args": ["conv_block_dims=4,4"]}, "conv_block_dims without block_dims"),
    ({"dataset_config": "d.toml", "train_data_dir": "/d"}, "takes its pictures from the dataset file alone"),
    ({"in_json": "m.json", "reg_data_dir": "/r"}, "in_json and reg_data_dir"),
    ({"enable_bucket": True, "face_crop_aug_range": "2.0,4.0"}, "enable_bucket and face_crop_aug_range"),
    ({"enable_bucket": True, "min_bucket_reso": 1024, "max_bucket_reso": 512}, "no side lies between"),
    ({"weighted_captions": True, "shuffle_caption": True}, "torn apart by the shuffling"),
    ({"validate_every_n_steps": 10}, "validate_every_n_steps without validation_split"),
    ({"sample_every_n_steps": 10}, "without sample_prompts"),
])
def test_contradictions_are_found(values: dict[str, Any], said: str) -> None:
    found = reading.of_values({"output_name": "x", **values})
    assert any(said in sentence for sentence in found.contradictions), found.contradictions


def test_all_contradictions_are_told_together() -> None:
    found = reading.of_values({"output_name": "x", "cache_latents": True, "color_aug": True, "lr_warmup_steps": 100,
                               "full_bf16": True, "fp8_base": True, "adaptive_noise_scale": 1})
    assert len(found.contradictions) == 5 and found.problems == found.contradictions


def test_contradictions_of_the_family() -> None:
    found = reading.read_text("sdxl_train_network.py --v2 --enable_bucket --bucket_reso_steps 48")
    assert [sentence.split()[0] for sentence in found.contradictions] == ["bucket_reso_steps", "v2"]


def test_the_window_of_kohya_ss() -> None:
    found = reading.of_values(WINDOW)
    assert found.faults == found.contradictions == found.unsupported == []
    expected = {
        "name": "hina", "images": "/data/img", "base_model": "/models/anime.safetensors", "rank": 128, "alpha": 128.0,
        "resolution": "768", "unet_lr": "1e-4", "text_encoder_lr": "5e-5", "learning_rate": "5e-5", "epochs": 10,
        "steps": 0, "optimizer": "AdamW8bit", "optimizer_args": "weight_decay=0.1", "warmup": "0", "clip_skip": 2,
        "max_tokens": "150", "precision": "bf16", "noise_offset": 0.05, "multires_iterations": 0, "min_timestep": 10,
        "huber_c": 0.2, "preview_prompts": "hina --n bad --d 1", "keep_tokens": 1, "bucket_no_upscale": True,
        "train_text_encoder": True,
    }
    assert {name: found.values[name] for name in expected} == expected
    assert "seed" not in found.values  # empty: another one for every run
    assert any(sentence.startswith("epoch = 10") for sentence in found.changed)
    assert any("num_cpu_threads_per_process" in sentence for sentence in found.needless)


@pytest.mark.parametrize(("changes", "expected"), [
    ({"LoRA_type": "Kohya LoCon", "conv_dim": 8, "conv_alpha": 4},
     {"conv_rank": 8, "conv_alpha": 4.0, "layers": "attn-mlp"}),
    ({"conv_dim": 8}, {"conv_rank": 0}),  # "Standard" does not hand it over
    ({"LoRA_type": "LyCORIS/LoCon", "conv_dim": 8, "conv_alpha": 4, "LyCORIS_preset": "full"},
     {"algorithm": "lora", "layers": "full", "conv_rank": 8}),
    ({"LoRA_type": "LyCORIS/LoKr", "LyCORIS_preset": "attn-mlp", "factor": 8, "dora_wd": True},
     {"algorithm": "lokr", "layers": "attn-mlp", "conv_rank": 0, "factor": 8, "dora": True}),
    ({"LoRA_type": "LyCORIS/Diag-OFT", "constrain": 0.5, "LyCORIS_preset": "unet-only"},
     {"algorithm": "oft", "constraint": 0.5, "layers": "full", "train_text_encoder": False}),
    ({"LoRA_type": "Kohya DyLoRA", "unit": 4, "conv_dim": 128}, {"algorithm": "dylora", "dylora_unit": 4}),
    ({"text_encoder_lr": 0}, {"train_text_encoder": False, "train_unet": True}),
    ({"unet_lr": 0}, {"train_text_encoder": True, "train_unet": False}),
    ({"noise_offset_type": "Multires", "multires_noise_discount": 0.2},
     {"noise_offset": 0.0, "multires_iterations": 8, "multires_discount": 0.2}),
    ({"lr_scheduler": "cosine", "lr_warmup": "10"}, {"warmup": "10%"}),
    ({"lr_scheduler": "cosine", "lr_warmup": 10, "lr_warmup_steps": 50}, {"warmup": "50"}),
    ({"max_train_steps": 300}, {"steps": 300}),
    ({"max_train_epochs": 3, "max_train_steps": 300}, {"epochs": 3, "steps": 0}),
    ({"loraplus_unet_lr_ratio": 16}, {"lora_plus_unet": 16.0}),
    ({"caption_extension": ""}, {"caption_extension": ".caption"}),
])
def test_what_the_window_hands_over(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = reading.of_values({**WINDOW, **changes})
    assert found.faults == []
    assert {name: found.values[name] for name in expected} == expected


def test_windows_of_other_families_are_refused() -> None:
    assert "Flux" in reading.of_values({**WINDOW, "flux1_checkbox": True}).faults[0]


@pytest.mark.parametrize(("values", "expected", "told"), [
    ({"network_module": "lycoris.kohya", "network_dim": 8, "network_alpha": 4},
     {"layers": "full", "conv_rank": 8, "conv_alpha": 4.0}, ""),
    ({"network_module": "lycoris.kohya", "network_args": ["algo=ia3", "preset=ia3", "dora_wd=True"]},
     {"algorithm": "ia3", "layers": "ia3", "dora": False}, "dora = True: it means nothing for (IA)^3."),
    ({"network_module": "networks.lora", "network_args": ["rs_lora=True"]}, {"rs_lora": False},
     "network_args: rs_lora = True: networks.lora does not read it."),
    ({"network_module": "networks.oft", "network_args": ["enable_all_linear=True"]},
     {"algorithm": "oft_kohya", "layers": "attn-mlp"}, ""),
    ({"network_module": "networks.oft"}, {"algorithm": "oft_kohya", "layers": "attn-only"}, ""),
    ({"network_weights": "a.safetensors", "network_alpha": 8}, {"continue_from": "a.safetensors",
                                                                "continue_alpha": "rescale"}, ""),
    ({"network_weights": "a.safetensors", "dim_from_weights": True}, {"dim_from_weights": True}, ""),
    ({"base_weights": ["a.safetensors", "b.safetensors"], "base_weights_multiplier": [0.5]},
     {"base_loras": "a.safetensors:0.5, b.safetensors:1"}, ""),
    ({"optimizer_type": "Adafactor"}, {"optimizer_args": "relative_step=True"}, ""),
    ({"text_encoder_lr": [1e-4, 5e-5]}, {"text_encoder_lr": "1e-4", "text_encoder2_lr": "5e-5"}, ""),
    ({"v_parameterization": True}, {"prediction": "v", "zero_terminal_snr": "off"}, ""),
    ({"lr_warmup_steps": "10%", "lr_scheduler": "cosine"}, {"warmup": "10%"}, ""),
    ({"save_state": True, "save_every_n_steps": 100, "save_last_n_steps": 300},
     {"state_every_steps": 100, "state_at_end": True, "keep_states": 4}, ""),
    ({"dataset_config": "d.toml", "dataset_repeats": 3}, {"datasets": "d.toml", "buckets": False,
                                                          "caption_extension": ".caption"}, "dataset_repeats = 3 with"),
    ({"network_args": ["frobnicate=1"]}, {}, "network_args: frobnicate = '1' is not an argument of a network"),
])
def test_options_that_belong_together(values: dict[str, Any], expected: dict[str, Any], told: str) -> None:
    found = reading.of_values({"output_name": "x", **values})
    assert {name: found.values[name] for name in expected} == expected
    assert not told or any(told in sentence for sentences in found.told().values() for sentence in sentences)


def test_a_record_is_trained_again() -> None:
    found = reading.of_values(RECORD)
    expected = {"rank": 8, "alpha": 4.0, "learning_rate": "1e-3", "resolution": "128", "steps": 8, "seed": 42,
                "optimizer": "AdamW", "bucket_min": 64, "bucket_max": 256, "precision": "fp32", "buckets": True}
    assert {name: found.values[name] for name in expected} == expected
    assert found.problems == []
    assert not {"images", "name", "base_model", "output_folder", "caption_extension"} & found.values.keys()
    told = " ".join(found.assumed)
    assert "sd15_full.safetensors" in told and "2_shp shape (6 pictures, 2 repeats)" in told


@pytest.mark.parametrize(("changes", "expected"), [
    ({"ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))"},
     {"optimizer": "AdamW8bit", "optimizer_args": "weight_decay=0.1 betas=0.9,0.99"}),
    ({"ss_optimizer": "prodigyopt.prodigy.Prodigy(decouple=True,d_coef=2)"}, {"optimizer": "Prodigy"}),
    ({"ss_optimizer": "my.package.Clever(a=1)"}, {"optimizer": "my.package.Clever", "optimizer_args": "a=1"}),
    ({"ss_resolution": "(768, 512)"}, {"resolution": "768,512"}),
    ({"ss_num_epochs": "2", "ss_max_train_steps": "24"}, {"epochs": 2, "steps": 0}),
    ({"ss_network_args": '{"conv_dim": "4", "conv_alpha": "2", "dropout": null}'}, {"conv_rank": 4, "conv_alpha": 2.0}),
    ({"ss_text_encoder_lr": "[5e-05, 1e-05]"}, {"text_encoder_lr": "5e-5", "text_encoder2_lr": "1e-5"}),
    ({"ss_base_model_version": "sd_v1_v"}, {"prediction": "v"}),
    ({"ss_flip_aug": "True", "ss_min_snr_gamma": "5.0"}, {"flip": True, "min_snr_gamma": 5.0}),
])
def test_records_of_all_kinds(changes: dict[str, str], expected: dict[str, Any]) -> None:
    found = reading.of_values({**RECORD, **changes})
    assert found.problems == []
    assert {name: found.values[name] for name in expected} == expected


def test_a_record_of_a_dataset_file() -> None:
    subset = {"img_count": 4, "num_repeats": 2, "flip_aug": True, "shuffle_caption": True, "keep_tokens": 1}
    datasets = [{"resolution": [512, 512], "batch_size_per_device": 3, "enable_bucket": True, "subsets": [subset]},
                {"resolution": [768, 768], "batch_size_per_device": 1, "subsets": [{**subset, "flip_aug": False}]}]
    found = reading.of_values({**SDXL_RECORD, "ss_datasets": json.dumps(datasets)})
    assert {name: found.values[name] for name in ("resolution", "batch_size", "flip", "shuffle_caption")} == {
        "resolution": "512", "batch_size": 3, "flip": True, "shuffle_caption": True}
    assert any("several resolutions (512,512, 768,768)" in sentence for sentence in found.changed)
    assert any("flip_aug differed between the data sets" in sentence for sentence in found.changed)


def test_a_lora_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    file.save(path, {"a.alpha": torch.tensor(1.0)}, RECORD)
    assert reading.read_file(path).values["rank"] == 8
    file.save(path, {"a.alpha": torch.tensor(1.0)}, {}, overwrite=True)
    with pytest.raises(UserError, match="holds no record of its training"):
        reading.read_file(path)


def test_a_dataset_file_is_used_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text("[[datasets]]\nresolution = 512\n  [[datasets.subsets]]\n  image_dir = 'x'\n", "utf8")
    assert reading.read_file(path).values == {"datasets": str(path)}
    assert reading.read_text(path.read_text("utf8")).kind == DATASET
    assert "save it as a .toml or .json file" in reading.read_text(path.read_text("utf8")).faults[0]


def test_a_command_reads_the_config_file_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[network]\nnetwork_dim = 8\nnetwork_alpha = 4\n", "utf8")
    script = tmp_path / "train.sh"
    script.write_text("accelerate launch train_network.py --config_file c --network_alpha 2\n", "utf8")
    found = reading.read_file(script)
    assert (found.values["rank"], found.values["alpha"], found.faults) == (8, 2.0, [])
    assert "cannot be read" in reading.read_text("train_network.py --config_file nowhere.toml").faults[0]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 4_000_001])
def test_a_file_that_is_no_text_of_settings(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read|too long"):
        reading.read_file(path)
