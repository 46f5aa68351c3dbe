"""What is found before a training starts: all of it together, each in one sentence."""
from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.lora.finding import find_lora
from lib_trainer.training import check
from lib_trainer.training.checks.hardware import check_model
from lib_trainer.training.config import TrainConfig
from tests.conftest import Settings


def faults(config: TrainConfig, host: StandaloneHost) -> list[str]:
    with pytest.raises(Problems) as caught:
        check.check(config, host)
    return caught.value.problems


def one_fault(config: TrainConfig, host: StandaloneHost) -> str:
    found = faults(config, host)
    assert len(found) == 1, found
    return found[0]


def write_lora(path: Path, layer: str, width: int) -> None:
    file.save(path, {f"{layer}.lora_down.weight": torch.zeros(2, width), f"{layer}.lora_up.weight": torch.zeros(4, 2),
                     f"{layer}.alpha": torch.tensor(1.0)}, {})


def test_a_good_config_passes(host: StandaloneHost, settings: Settings) -> None:
    findings = check.check(settings(), host)
    assert len(findings.items) == 3
    assert findings.datasets[0].buckets.width == host.checkpoint().resolution


def test_settings_disk_and_checkpoint_are_reported_together(host: StandaloneHost, tmp_path: Path) -> None:
    values = {"rank": 0, "lerning_rate": 1, "images": str(tmp_path / "none"), "continue_from": "none", "epochs": 0}
    with pytest.raises(Problems) as caught:
        check.read(values, host)
    found = caught.value.problems
    for part in ("rank = 0", "lerning_rate", "does not exist", "continue_from", "epochs = 0", "Name is empty"):
        assert sum(part in sentence for sentence in found) == 1, (part, found)
    assert len(found) == 6


def test_a_value_that_cannot_be_read_is_told_once(host: StandaloneHost, pictures: Path) -> None:
    with pytest.raises(Problems) as caught:
        check.read({"name": "a\nb", "images": str(pictures), "resolution": None}, host)
    assert len(caught.value.problems) == 2


def test_pictures(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.png").write_bytes(b"x")
    assert "does not exist" in one_fault(settings(images=str(tmp_path / "pictures (2)")), host)
    assert "No usable picture" in one_fault(settings(images=str(tmp_path / "empty")), host)
    assert "is a file" in one_fault(settings(images=str(tmp_path / "file.png")), host)
    assert "Picture folder is empty" in one_fault(settings(images=""), host)
    assert "No usable picture" in one_fault(settings(reg_images=str(tmp_path / "empty")), host)


@pytest.mark.parametrize("taken", ["zko", "zko-000001", "zko-step00000100"])
def test_names_that_are_taken(host: StandaloneHost, settings: Settings, taken: str) -> None:
    (host.paths.loras / f"{taken}.safetensors").write_bytes(b"")
    assert f"{taken}.safetensors" in one_fault(settings(), host)
    assert check.check(settings(name="zko2"), host)
    assert check.check(settings(output_folder=str(host.paths.outputs / "new")), host)


def test_an_output_folder_that_cannot_be_written(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "choose another folder" in one_fault(settings(output_folder=str(tmp_path / "file")), host)
    assert "choose another folder" in one_fault(settings(output_folder=str(tmp_path / "file" / "sub")), host)


def test_sizes(host: StandaloneHost, settings: Settings) -> None:
    assert "bucket" in one_fault(settings(resolution="64", bucket_min=128), host)
    assert any("not a multiple" in text for text in check.check(settings(resolution="72"), host).warnings)


def test_the_lora_to_continue_from(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    config = settings(continue_from="old")
    assert "no such LoRA" in one_fault(config, host)
    path = host.paths.loras / "sub" / "old.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"not a LoRA")
    assert "not a safetensors file" in one_fault(config, host)
    path.unlink()
    write_lora(path, "lora_te1_text_model_encoder_layers_0_mlp_fc1", 768)
    assert "sdxl" in one_fault(config, host)
    path.unlink()
    write_lora(path, "lora_te_text_model_encoder_layers_0_mlp_fc1", 32)
    assert check.check(config, host)
    assert find_lora(str(path), host) == find_lora("old.safetensors", host) == path


def test_a_name_of_two_loras_is_a_fault(host: StandaloneHost, settings: Settings) -> None:
    loras = host.paths.loras
    for folder in ("a", "b"):
        (loras / folder).mkdir(parents=True)
        write_lora(loras / folder / "old.safetensors", "lora_te_text_model_encoder_layers_0_mlp_fc1", 32)
    told = one_fault(settings(continue_from="old"), host)
    assert f"continue_from = 'old': There are 2 LoRAs of the name 'old' in '{loras}'" in told
    assert repr(str(Path("a", "old.safetensors"))) in told and repr(str(Path("b", "old.safetensors"))) in told
    assert find_lora("b/old", host) == loras / "b" / "old.safetensors"
    write_lora(loras / "old.safetensors", "lora_te_text_model_encoder_layers_0_mlp_fc1", 32)
    assert find_lora("old", host) == loras / "old.safetensors"


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a card")
def test_what_a_machine_without_a_card_cannot_do(host: StandaloneHost, settings: Settings) -> None:
    found = faults(settings(precision="fp16", optimizer="AdamW8bit"), host)
    assert len(found) == 2
    assert "bf16 or fp32" in found[0] and "AdamW" in found[1]


def test_an_unknown_argument_of_the_optimiser(host: StandaloneHost, settings: Settings) -> None:
    assert "weight_decay" in one_fault(settings(optimizer_args="weight_decai=0.1"), host)


def test_traps_are_told(host: StandaloneHost, settings: Settings) -> None:
    warnings = check.check(settings(optimizer="Prodigy", preview_prompts="zko"), host).warnings
    assert any("Sample now" in text for text in warnings) and any("Set 1" in text for text in warnings)


Model = namedtuple("Model", "device compute_dtype")


@pytest.mark.parametrize(("device", "stored", "wanted", "expected"), [
    ("cpu", torch.float32, "auto", None),
    ("cpu", torch.float32, "bf16", torch.bfloat16),
    ("cpu", torch.bfloat16, "auto", None),
    ("cuda", torch.float16, "auto", torch.float16),
    ("cuda", torch.float16, "bf16", torch.bfloat16),
    ("cuda", torch.float32, "fp32", None),
    ("cuda", torch.float32, "fp16", torch.float16),
])
def test_precision(device: str, stored: torch.dtype, wanted: str, expected: torch.dtype | None) -> None:
    model: Any = Model(torch.device(device), stored)
    assert check_model(TrainConfig(precision=wanted), model) == expected


@pytest.mark.parametrize(("device", "stored", "wanted"), [
    ("cpu", torch.float32, "fp16"), ("cuda", torch.float16, "fp32"), ("cpu", torch.bfloat16, "fp32"),
])
def test_precision_that_cannot_be_had(device: str, stored: torch.dtype, wanted: str) -> None:
    model: Any = Model(torch.device(device), stored)
    with pytest.raises(UserError, match="use"):
        check_model(TrainConfig(precision=wanted), model)
