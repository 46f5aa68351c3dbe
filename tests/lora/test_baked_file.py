"""Baked files: their record, their hashes, what is refused, and the base checkpoint's weights by layer name."""
from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import Lacking, UserError
from lib_trainer.families import ldm
from lib_trainer.families.sdxl import SDXL
from lib_trainer.lora import baked_file, base_weights, file, metadata
from lib_trainer.lora.baked_file import Order
from tests import tiny_checkpoint
from tests.hosts import lora_kinds
from tests.lora import kinds
from tests.lora.models import ATTENTION, KERNEL, TEXT, layers

RECORD = {
    "ss_base_model_version": "sd_v1", "ss_output_name": "source", "ss_network_dim": "3", "ss_tag_frequency": "{}",
    "modelspec.architecture": "stable-diffusion-v1/lora", "modelspec.title": "Source", "modelspec.date": "2024-01-01",
    "modelspec.hash_sha256": "0x00", "trigger": "zko",
}


def source(folder: Path, kind: str = "lora") -> Path:
    """Writes a LoRA on a text, an attention and a convolution layer, with hashes of its own."""
    tensors = {
        f"{target.name}.{part}": tensor.half() for target in layers() if target.name in (TEXT, ATTENTION, KERNEL)
        for part, tensor in kinds.draw(kind, target).items()
    }
    path = folder / "source.safetensors"
    file.save(path, tensors, RECORD | metadata.hashes(tensors, RECORD))
    return path


def order(path: Path, weights: str, **more: Any) -> Order:
    return Order(path, weights, Presets.shipped(), **more)


def test_the_record_says_what_was_done(tmp_path: Path) -> None:
    path, out = source(tmp_path), tmp_path / "sub" / "baked.safetensors"
    before = path.read_bytes()
    result = baked_file.write(order(path, "0.5:lbw=ALL,IN01@0:start=3"), out)
    facts, made = file.inspect(out), file.load(out)
    assert path.read_bytes() == before
    assert facts["hash_matches"] is True and facts["tensors"] == 3  # the convolution and the attention are in IN01
    record = made.metadata
    assert {key: record[key] for key in ("ss_network_dim", "ss_tag_frequency", "trigger")} == {
        "ss_network_dim": "3", "ss_tag_frequency": "{}", "trigger": "zko"}
    assert record["ss_output_name"] == record["modelspec.title"] == "baked"
    assert record["modelspec.merged_from"] == "Source"
    assert record["modelspec.hash_sha256"] == f"0x{record['sshs_model_hash']}" == f"0x{facts['tensor_hash']}"
    assert record["block_weight.source"] == "source.safetensors"
    assert record["block_weight.source_sha256"] == hashlib.sha256(before).hexdigest()
    assert record["block_weight.tag"] == "0.5:lbw=ALL,IN01@0:start=3"
    assert json.loads(record["block_weight.blocks"])["IN01"] == 0.0
    assert (record["block_weight.te"], record["block_weight.unet"]) == ("0.5", "0.5")
    assert "block_weight.seed" not in record
    assert any("start, stop" in note for note in result.notes)
    assert result.to_json()["dropped"] == 2 and "2 at 0 left out" in result.in_words()


def test_the_same_again_is_the_same(tmp_path: Path) -> None:
    path = source(tmp_path)
    made = [file.load(baked_file.write(order(path, "1:lbw=R,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", seed=seed),
                                       tmp_path / f"{n}.safetensors").path) for n, seed in enumerate((5, 5, 6))]
    name = f"{TEXT}.lora_up.weight"
    assert torch.equal(made[0].tensors[name], made[1].tensors[name])
    assert not torch.equal(made[0].tensors[name], made[2].tensors[name])
    assert made[0].metadata["block_weight.seed"] == "5"
    assert json.loads(made[0].metadata["block_weight.blocks"])["BASE"] not in (0.0, 1.0)


def test_strengths_and_rules(tmp_path: Path) -> None:
    path = source(tmp_path)
    elements = Elements.parse("MINE:IN01:conv1:0")
    result = baked_file.write(
        order(path, "<lora:source:0.3:lbwe=MINE>", te=1.0, unet=2.0, elements=elements), tmp_path / "b.safetensors")
    made = file.load(result.path)
    assert result.baked.untouched == [TEXT] and result.baked.scaled == [ATTENTION] and result.baked.dropped == [KERNEL]
    up = f"{ATTENTION}.lora_up.weight"
    assert torch.equal(made.tensors[up], 2 * file.load(path).tensors[up])
    assert "IN01" in made.metadata["block_weight.elements"]


@pytest.mark.parametrize(("weights", "sentence"), [
    ("1:lbw=NOSUCH", "Unknown block-weight preset 'NOSUCH'[^.]*[.?] Nothing was written"),
    ("<lora:a:1> <lora:b:1>", "is not one LoRA tag"),
    ("0", "leave nothing of the LoRA"),
])
def test_what_cannot_be_understood_is_not_baked(tmp_path: Path, weights: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        baked_file.write(order(source(tmp_path), weights), tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = source(tmp_path)
    with pytest.raises(UserError, match="never overwritten"):
        baked_file.write(order(path, "0.5"), path)


def test_the_architecture_must_be_known(tmp_path: Path) -> None:
    path = tmp_path / "nameless.safetensors"
    file.save(path, {f"{TEXT}.diff": torch.ones(8, 6)}, {})
    with pytest.raises(Lacking, match="Name the architecture"):
        baked_file.write(order(path, "0.5"), tmp_path / "out.safetensors")
    assert baked_file.write(order(path, "0.5", arch="sdxl"), tmp_path / "out.safetensors").baked.scaled == [TEXT]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.write(tmp_path_factory.mktemp("models"))


def test_dora_needs_the_base_that_it_was_trained_on(tmp_path: Path, checkpoint: Path) -> None:
    path, out = tmp_path / "dora.safetensors", tmp_path / "out.safetensors"
    lora_kinds.write("dora", checkpoint, path)
    with pytest.raises(UserError, match="of the kind DoRA"):
        baked_file.write(order(path, "0.5"), out)
    result = baked_file.write(order(path, "0.5:lbw=ALL,IN01-IN08@2", base=checkpoint), out)
    assert result.baked.untouched and result.baked.rewritten and not result.baked.scaled
    assert any("full differences" in note for note in result.notes)
    record = file.read_header(out)[1]
    assert json.loads(record["block_weight.layers_as_difference"]) == result.baked.rewritten
    assert record["block_weight.base"] == checkpoint.name
    parts = {name.split(".", 1)[1] for name in file.load(out).tensors}
    assert "diff" in parts and "dora_scale" in parts
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.ones(1)}, other)
    with pytest.raises(UserError, match=r"has no layer 'lora_.*Choose the one that the LoRA was trained on"):
        baked_file.write(order(path, "0.5", base=other), tmp_path / "no.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_every_layer_of_a_checkpoint_is_found(checkpoint: Path, tmp_path: Path, suffix: str) -> None:
    path = checkpoint
    if suffix == ".ckpt":
        path = tmp_path / "tiny.ckpt"
        torch.save({"state_dict": load_file(checkpoint)}, path)
    with base_weights.opened(path, "sd1") as weight:
        for layer, (expected, _) in lora_kinds.layers(checkpoint).items():
            assert torch.equal(weight(layer).float(), expected.float()), layer


def test_sdxls_second_text_encoder_has_thirds(tmp_path: Path) -> None:
    path = tmp_path / "xl.safetensors"
    root = "conditioner.embedders.1.model.transformer.resblocks.0."
    first = "conditioner.embedders.0.transformer.text_model.encoder.layers.0."
    fused, unet = torch.arange(36.0).reshape(9, 4), torch.ones(2, 2)
    save_file({f"{root}attn.in_proj_weight": fused, f"{first}mlp.fc1.weight": unet + 1,
               "model.diffusion_model.input_blocks.4.1.proj_in.weight": unet}, path)
    assert ldm.unet_path("lora_unet_input_blocks_4_1_proj_in", SDXL)
    with base_weights.opened(path, "sdxl") as weight:
        assert torch.equal(weight("lora_te2_text_model_encoder_layers_0_self_attn_k_proj"), fused[3:6])
        assert torch.equal(weight("lora_te1_text_model_encoder_layers_0_mlp_fc1"), unet + 1)
        assert torch.equal(weight("lora_unet_input_blocks_4_1_proj_in"), unet)
        with pytest.raises(UserError, match="no SDXL"):
            weight("lora_unet_input_blocks_5_1_proj_in")


def test_broken_checkpoints_are_sentences(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.ckpt"):
        with pytest.raises(UserError, match="no checkpoint file"), base_weights.opened(tmp_path / name, "sd1"):
            pass
        (tmp_path / name).write_bytes(b"nothing of that kind")
        with pytest.raises(UserError, match=name), base_weights.opened(tmp_path / name, "sd1"):
            pass
