"""LoRAs merged into checkpoints: the merged one draws what the checkpoint and the tags drew."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_trainer.errors import UserError
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import checkpoint as files
from lib_trainer.lora import checkpoint_layers, file
from lib_trainer.txt2img_host import GenerateRequest
from lib_trainer.workbench import companions, into_checkpoint
from lib_trainer.workbench.into_checkpoint import IntoCheckpointOrder
from lib_trainer.workbench.operation import Outcome, finish
from lib_trainer.workbench.sources import Source
from tests import tiny_checkpoint, tiny_families
from tests.hosts import lora_kinds

Q = "lora_te2_text_model_encoder_layers_1_self_attn_q_proj"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in float32, so that merging rounds nothing that a tag would not."""
    return tiny_checkpoint.write(tmp_path_factory.mktemp("models"), "base.safetensors", dtype=torch.float32)


def merge(base: Path, sources: list[Source], out: Path, **more: Any) -> Outcome:
    return finish(into_checkpoint.run(IntoCheckpointOrder(base, tuple(sources), out, **more)))


def lora(kind: str, base: Path, folder: Path, seed: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.safetensors"
    lora_kinds.write(kind, base, path, seed)
    return path


def drawn(host: StandaloneHost, prompt: str) -> np.ndarray:
    return np.asarray(host.generate(GenerateRequest(prompt=prompt, seed=3, steps=1))[0].image).astype(int)


@pytest.fixture
def painter(base: Path, tmp_path: Path) -> StandaloneHost:
    home = tmp_path / "home"
    return StandaloneHost(base, HostPaths(home / "loras", home / "outputs", home / "settings", home / "cache"))


def test_a_config_goes_with_its_checkpoint_and_another_stays(tmp_path: Path) -> None:
    base, out = tmp_path / "base.safetensors", tmp_path / "out.safetensors"
    companions.remove_with(base, out)  # neither has one
    base.with_suffix(".yaml").write_text("model: 1")
    for theirs, left in (("model: 1", False), ("model: 2", True)):
        out.with_suffix(".yaml").write_text(theirs)
        out.write_bytes(b"")
        companions.remove_with(base, out)
        assert out.with_suffix(".yaml").exists()  # the checkpoint is still there
        out.unlink()
        companions.remove_with(base, out)
        assert out.with_suffix(".yaml").exists() == left and base.with_suffix(".yaml").exists()
    companions.remove_with(base, base)
    assert base.with_suffix(".yaml").exists()


@pytest.mark.parametrize(("sources", "prompt"), [
    ([("locon", 0.8, "")], "red <lora:locon:0.8>"),
    ([("dora", 1.0, "0.7:lbw=ALL,IN04-IN08@0"), ("diff_b", -0.5, ""), ("norms", 1.0, "")],
     "red <lora:dora:0.7:lbw=ALL,IN04-IN08@0> <lora:diff_b:-0.5> <lora:norms:1>"),
    ([("lokr", 0.6, "1:te=0.5:lbw=NCNF"), ("oft", 0.5, "")], "red <lora:lokr:0.6:te=0.3:lbw=NCNF> <lora:oft:0.5>"),
])
def test_it_draws_what_the_tags_drew(
    painter: StandaloneHost, base: Path, tmp_path: Path, sources: list[tuple[str, float, str]], prompt: str
) -> None:
    members = [Source(lora(kind, base, painter.paths.loras), strength, weights=weights)
               for kind, strength, weights in sources]
    without, wanted = drawn(painter, "red"), drawn(painter, prompt)
    outcome = merge(base, members, base.parent / f"{tmp_path.name}.safetensors")
    assert outcome.file is not None
    painter.load_model(outcome.file)
    found = drawn(painter, "red")
    assert np.abs(found - without).max() > 20
    # One sum of products is rounded in another order, which moves a colour by one step at most.
    assert np.abs(found - wanted).max() <= 1


def test_the_arithmetic_is_exact(base: Path, tmp_path: Path) -> None:
    path, out = lora("locon", base, tmp_path), tmp_path / "out.safetensors"
    merge(base, [Source(path, 0.3, te=0.0), Source(path, unet=-0.7)], out, precision="fp32")
    former, made, parts = load_file(base), load_file(out), load_file(path)
    layer, key = "lora_unet_down_blocks_0_resnets_0_conv1", "model.diffusion_model.input_blocks.1.0.in_layers.2.weight"
    up, down = (parts[f"{layer}.lora_{side}.weight"].double().flatten(1) for side in ("up", "down"))
    delta = (up @ down).reshape(former[key].shape) * (float(parts[f"{layer}.alpha"]) / down.shape[0])
    true = former[key].double() + 0.3 * delta - 0.7 * delta
    # Rounded once: half a step of float32 at most, and what double precision itself rounds (ties fall either way).
    assert bool(((made[key].double() - true).abs() <= true.abs() * 2.0**-24 * (1 + 1e-6)).all())
    text = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
    assert not torch.equal(made[text], former[text])  # the second source's text encoder has its strength 1
    same = [name for name in former if torch.equal(former[name], made[name])]
    assert "first_stage_model.decoder.conv_in.weight" in same and list(made) == list(former)


def test_what_no_lora_changes_stays_to_the_byte(tmp_path: Path) -> None:
    """The dtype is kept, the marks and the record too; the `.yaml` goes along."""
    base = tiny_families.write(tmp_path / "a", "sdxl_v")
    tensors = load_file(base)
    save_file(tensors, base, {"modelspec.title": "Base", "modelspec.hash_sha256": "0x0", "trigger": "x"})
    path, out = tmp_path / "q.safetensors", tmp_path / "b" / "out.safetensors"
    save_file({f"{Q}.lora_up.weight": torch.ones(tiny_families.TEXT_WIDTH, 1),
               f"{Q}.lora_down.weight": torch.ones(1, tiny_families.TEXT_WIDTH)}, path)
    outcome = merge(base, [Source(path)], out)
    made = load_file(out)
    fused = "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight"
    assert [name for name in made if not torch.equal(made[name], tensors[name])] == [fused]
    assert {name: tensor.dtype for name, tensor in made.items()} == {name: t.dtype for name, t in tensors.items()}
    width = tiny_families.TEXT_WIDTH
    assert torch.equal(made[fused][:width], (tensors[fused][:width].double() + 1).half())
    assert torch.equal(made[fused][width:], tensors[fused][width:])
    record = file.read_header(out)[1]
    assert record["trigger"] == "x" and record["modelspec.title"] == "out"
    assert record["modelspec.merged_from"] == "Base, q" and "modelspec.hash_sha256" not in record
    assert json.loads(record["workbench.sources"])[0]["name"] == "q"
    assert out.with_suffix(".yaml").read_text("utf8") == base.with_suffix(".yaml").read_text("utf8")
    assert any("out.yaml" in note for note in outcome.notes) and outcome.facts["tensors_changed"] == 1


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_every_layer_of_every_family_has_its_place(kind: str, tmp_path: Path) -> None:
    """What a host offers to be trained is found in the file, so every LoRA that it can make can be merged."""
    home = tmp_path / "home"
    path = tiny_checkpoint.write(tmp_path) if kind == "sd1" else tiny_families.write(tmp_path, kind)
    host = StandaloneHost(path, HostPaths(home / "l", home / "o", home / "s", home / "c"))
    with files.opened(path) as tensors:
        family = checkpoint_layers.family_of(tensors.entries, path)
        known = checkpoint_layers.layers(tensors.entries, family)
        assert family is host.checkpoint().family
        with host.borrow_model() as lease, lease.turn() as model:
            for target in [*model.targets(), *model.other_targets()]:
                found = checkpoint_layers.find(known, target.name, family)
                assert found is not None, target.name
                weight: Any = target.module.weight
                own = weight if target.rows is None else weight[target.rows]
                rows = found.weight.of(tensors.read(found.weight.key))
                assert torch.equal(rows.float().reshape(own.shape), own.float()), target.name


def test_old_names_and_pickles(base: Path, tmp_path: Path) -> None:
    """Files of before transformers wrote `text_model.`; the result is a safetensors file all the same."""
    old = {name.replace("transformer.text_model.", "transformer."): tensor for name, tensor in load_file(base).items()}
    pickled = tmp_path / "old.ckpt"
    torch.save({"state_dict": old, "global_step": 1}, pickled)
    path = lora("locon", base, tmp_path)
    outcome = merge(pickled, [Source(path)], tmp_path / "a.safetensors")
    merge(base, [Source(path)], tmp_path / "b.safetensors")
    assert any("weights alone" in note for note in outcome.notes)
    made, wanted = load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "b.safetensors")
    assert all(torch.equal(made[name.replace("transformer.text_model.", "transformer.")], wanted[name])
               for name in wanted)


def test_what_has_no_place_is_told(base: Path, tmp_path: Path) -> None:
    path = lora("bundled", base, tmp_path)
    strange = {"lora_unet_conv_nowhere.diff": torch.ones(2), "lora_unet_mid_block_x.odd": torch.ones(1)}
    save_file(load_file(path) | strange, path)
    outcome = merge(base, [Source(path)], tmp_path / "out.safetensors")
    assert outcome.rows == [{"file": path.name, "layers": outcome.rows[0]["layers"], "left_out": 1}]
    told = " ".join(outcome.notes)
    assert "not merged: 1, such as 'lora_unet_conv_nowhere'" in told
    assert "'lora_unet_mid_block_x.odd'" in told and "embeddings" in told


def _sdxl(folder: Path, base: Path) -> dict[str, Any]:
    save_file({f"{Q}.diff": torch.ones(4, 4)}, folder / "x.safetensors")
    return {"sources": [Source(folder / "x.safetensors")]}


def _misfit(folder: Path, base: Path) -> dict[str, Any]:
    save_file({"lora_unet_conv_in.diff": torch.ones(2)}, folder / "x.safetensors")
    return {"sources": [Source(folder / "x.safetensors")]}


def _no_numbers(folder: Path, base: Path) -> dict[str, Any]:
    """A LoRA of a training that went wrong would make a checkpoint of black pictures."""
    path = lora("lora", base, folder)
    tensors = load_file(path)
    next(tensor for name, tensor in tensors.items() if name.endswith("lora_up.weight")).view(-1)[0] = float("nan")
    save_file(tensors, path)
    return {"sources": [Source(path)]}


def _alpha_is_no_number(folder: Path, base: Path) -> dict[str, Any]:
    path = lora("lora", base, folder)
    tensors = load_file(path)
    next(tensor for name, tensor in tensors.items() if name.endswith("alpha")).fill_(float("inf"))
    save_file(tensors, path)
    return {"sources": [Source(path)]}


def _strength_is_no_number(folder: Path, base: Path) -> dict[str, Any]:
    return {"sources": [Source(lora("lora", base, folder), unet=float("nan"))]}


def _nothing_acts(folder: Path, base: Path) -> dict[str, Any]:
    return {"sources": [Source(lora("lora", base, folder), 0.0)]}


def _no_checkpoint(folder: Path, base: Path) -> dict[str, Any]:
    path = lora("lora", base, folder)
    return {"sources": [Source(path)], "base": path}


def _all_at_once(folder: Path, base: Path) -> dict[str, Any]:
    return {"sources": [], "out": folder / "out.ckpt", "precision": "fp4"}


@pytest.mark.parametrize(("case", "sentence"), [
    (_sdxl, r"'x.safetensors' is a LoRA for SDXL, and the checkpoint is SD 1.x"),
    (_misfit, r"does not fit"),
    (_no_numbers, r"lora_up.weight' has entries that are infinite or no numbers"),
    (_alpha_is_no_number, r"alpha' has entries that are infinite or no numbers"),
    (_strength_is_no_number, r"strength of 'lora.safetensors' is nan"),
    (_nothing_acts, r"every layer would be at 0"),
    (_no_checkpoint, r"is no SD 1.x, SD 2.x or SDXL checkpoint"),
    (_all_at_once, r"no LoRA to merge(.|\n)*'fp4' is none of(.|\n)*end with .safetensors"),
])
def test_faults_are_sentences_and_leave_nothing(
    base: Path, tmp_path: Path, case: Callable[[Path, Path], dict[str, Any]], sentence: str
) -> None:
    asked = {"base": base, "out": tmp_path / "new" / "out.safetensors", **case(tmp_path, base)}
    with pytest.raises(UserError, match=sentence):
        merge(**asked)
    assert not any(path.name.startswith((".out", "out")) for path in tmp_path.rglob("*"))


def test_cancelling_leaves_nothing(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.safetensors"
    operation = into_checkpoint.run(IntoCheckpointOrder(base, (Source(lora("lora", base, tmp_path)),), out))
    assert [next(operation).done for _ in range(5)] == [0, 0, 1, 2, 3]  # the first is the LoRA's reading
    operation.close()
    assert list(out.parent.rglob("*")) == []  # the folder of the text encoder's sizes is gone as well


def test_nothing_is_overwritten(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(UserError, match="never overwritten"):
        merge(base, [Source(lora("lora", base, tmp_path))], out)
    assert out.read_bytes() == b"mine"
    merge(base, [Source(tmp_path / "lora.safetensors")], out, replace=True)
    assert len(load_file(out)) == len(load_file(base))
    with pytest.raises(UserError, match="never overwritten"):
        merge(out, [Source(tmp_path / "lora.safetensors")], out, replace=True)
