"""The file's record, held against the metadata of a real sd-scripts run."""
from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import datetime
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.lora import metadata
from lib_trainer.lora.metadata import RunInfo

DATA = Path(__file__).parents[1] / "data"
REFERENCE: dict[str, str] = json.loads((DATA / "sd15_lora_metadata.json").read_text("utf8"))
C3LIER_REFERENCE: dict[str, str] = json.loads((DATA / "sd15_c3lier_metadata.json").read_text("utf8"))
SDXL_REFERENCE: dict[str, str] = json.loads((DATA / "sdxl_lora_metadata.json").read_text("utf8"))
TENSORS = {"a.alpha": torch.tensor(1.0), "a.lora_up.weight": torch.arange(600_000, dtype=torch.float32)}

RUN = RunInfo(
    family=SD1, prediction="epsilon", output_name="sd15_lora_r8", sd_model_name="sd15_full.safetensors",
    sd_model_hash="ab3f491b", new_sd_model_hash="9eb3f5290234e80be5b9b74f1dfeff6a58780a8ad6df82c8bf9ca002cbc50ffe",
    resolution=(128, 128), network_dim=8, network_alpha=4.0, optimizer="torch.optim.adamw.AdamW", learning_rate=0.001,
    steps=8, epoch=1, max_train_steps=8, num_epochs=1, num_train_images=12, num_batches_per_epoch=12,
    batch_size_per_device=1, seed=42, session_id=2144917394, training_started_at=1795216636.148798,
    training_finished_at=1795216666.7557569, cache_latents=False, min_bucket_reso=64, max_bucket_reso=256,
    dataset_dirs={"2_shp shape": {"n_repeats": 2, "img_count": 6}},
    tag_frequency=json.loads(REFERENCE["ss_tag_frequency"]), bucket_info=json.loads(REFERENCE["ss_bucket_info"]),
)
"""The reference run."""

SDXL_RUN = dataclasses.replace(
    RUN, family=SDXL, output_name="sdxl_tiny_lora", sd_model_name="sdxl_tiny.safetensors", sd_model_hash="18bf18ca",
    new_sd_model_hash="92b320e32dc9f8561054692f0b22e6d4930aa5640fde33cd75504ee80d0b861e", steps=4, max_train_steps=4,
    session_id=1344224880, training_started_at=1795217699.715081, training_finished_at=1795217754.4262419,
)
"""The reference run of a small SDXL."""


C3LIER_RUN = dataclasses.replace(
    RUN, output_name="sd15_c3lier_r8c4", steps=6, max_train_steps=6, session_id=2274986084,
    training_started_at=1795216671.0438347, training_finished_at=1795216704.0592797,
    network_args={"conv_dim": "4", "conv_alpha": "2"},
)
"""The reference run with convolutions."""


@pytest.mark.parametrize(("run", "reference"), [
    (RUN, REFERENCE), (SDXL_RUN, SDXL_REFERENCE), (C3LIER_RUN, C3LIER_REFERENCE),
])
def test_every_key_and_value_equals_sd_scripts(run: RunInfo, reference: dict[str, str]) -> None:
    record = metadata.build(run)
    record |= metadata.hashes(TENSORS, record)
    assert record.keys() == reference.keys()
    # Ours by nature: which program wrote the file, local time, other tensors.
    own = {"ss_sd_scripts_commit_hash", "modelspec.implementation_version", "modelspec.date", "sshs_model_hash",
           "sshs_legacy_hash"}
    assert {key: record[key] for key in record.keys() - own} == {key: reference[key] for key in reference.keys() - own}


def test_optional_keys() -> None:
    conv = {"conv_dim": "4", "conv_alpha": "2"}
    named = dataclasses.replace(RUN, network_args=conv, modelspec={"trigger_phrase": "zunko"}, clip_skip=2)
    record = metadata.build(named)
    assert record["ss_network_args"] == '{"conv_dim": "4", "conv_alpha": "2", "dropout": null}'
    assert (record["modelspec.trigger_phrase"], record["modelspec.encoder_layer"]) == ("zunko", "2")
    assert len(record.keys() - REFERENCE.keys()) == 3


@pytest.mark.parametrize(("family", "prediction", "version", "architecture", "is_v2"), [
    (SD1, "v", "sd_v1_v", "stable-diffusion-v1/lora", "False"),
    (SD2, "epsilon", "sd_v2", "stable-diffusion-v2-512/lora", "True"),
    (SD2, "v", "sd_v2_v", "stable-diffusion-v2-768-v/lora", "True"),
    (SDXL, "v", "sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora", "False"),
])
def test_families_and_predictions_have_their_own_names(
    family: Family, prediction: str, version: str, architecture: str, is_v2: str
) -> None:
    record = metadata.build(dataclasses.replace(RUN, family=family, prediction=prediction))
    assert (record["ss_base_model_version"], record["modelspec.architecture"]) == (version, architecture)
    assert (record["modelspec.prediction_type"], record["ss_v2"]) == (prediction, is_v2)


def test_the_date_is_iso_in_local_time() -> None:
    assert datetime.fromisoformat(metadata.build(RUN)["modelspec.date"]).timestamp() == int(RUN.training_finished_at)


def test_hashes_are_of_the_file_with_ss_metadata_only() -> None:
    found = metadata.hashes(TENSORS, {"ss_seed": "42", "modelspec.title": "x"})
    content = save(TENSORS, {"ss_seed": "42"})
    start = 8 + int.from_bytes(content[:8], "little")
    assert found == {
        "sshs_model_hash": hashlib.sha256(content[start:]).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(content[1 << 20 : (1 << 20) + (1 << 16)]).hexdigest()[:8],
    }


@pytest.mark.parametrize("key", ["ss_seed", "modelspec.title"])
def test_the_model_hash_does_not_depend_on_the_record(key: str) -> None:
    one, other = metadata.hashes(TENSORS, {key: "1"}), metadata.hashes(TENSORS, {key: "something longer"})
    assert one["sshs_model_hash"] == other["sshs_model_hash"]


def test_of_several_data_sets_the_record_is_by_data_set() -> None:
    record = metadata.build(dataclasses.replace(RUN, datasets=[{"resolution": [512, 512], "subsets": []}]))
    assert json.loads(record["ss_datasets"]) == [{"resolution": [512, 512], "subsets": []}]
    gone = {"ss_batch_size_per_device", "ss_total_batch_size", "ss_resolution", "ss_color_aug", "ss_flip_aug",
            "ss_random_crop", "ss_shuffle_caption", "ss_enable_bucket", "ss_bucket_no_upscale", "ss_min_bucket_reso",
            "ss_max_bucket_reso", "ss_keep_tokens", "ss_reg_dataset_dirs", "ss_bucket_info"}
    assert metadata.build(RUN).keys() - record.keys() == gone
    assert json.loads(record["ss_dataset_dirs"]) == RUN.dataset_dirs  # kept, merged, for editors of metadata


def test_a_minimal_record_is_what_sd_scripts_keeps() -> None:
    record = metadata.build(dataclasses.replace(C3LIER_RUN, minimal=True))
    assert {key for key in record if key.startswith("ss_")} == {
        "ss_v2", "ss_base_model_version", "ss_network_module", "ss_network_dim", "ss_network_alpha", "ss_network_args"}
    assert record["modelspec.architecture"] == "stable-diffusion-v1/lora"


def test_settings_and_specification_are_written() -> None:
    record = metadata.build(dataclasses.replace(
        RUN, settings={"loss_type": "huber", "network_dropout": 0.1}, network_args={"conv_dim": "4"},
        modelspec={"title": "Zunko", "author": "me", "license": ""}))
    assert (record["ss_loss_type"], record["ss_network_dropout"]) == ("huber", "0.1")
    assert json.loads(record["ss_network_args"]) == {"conv_dim": "4", "dropout": 0.1}
    assert (record["modelspec.title"], record["modelspec.author"]) == ("Zunko", "me")
    assert "modelspec.license" not in record
