"""Layers and blocks taken out of a LoRA: which, why, and that the rest keeps every bit."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora import file, norms
from lib_trainer.workbench import inspection, names, prune
from lib_trainer.workbench.operation import Outcome, finish
from lib_trainer.workbench.prune import PruneOrder
from tests.workbench import stored
from tests.workbench.stored import TEXT, Q

OUT = Q.replace("down_blocks_0", "up_blocks_1")
MID = "lora_unet_mid_block_attentions_0_proj_in"


def pruned(source: Path, **more: Any) -> Outcome:
    return finish(prune.run(PruneOrder(source, **more)))


def lora() -> dict[str, torch.Tensor]:
    """Returns layers in BASE (empty), IN01 (energy 4), M00 (energy 1) and OUT03 (energy 95): one number each."""
    found = {}
    for layer, size in ((TEXT, 0.0), (Q, 2.0), (MID, 1.0), (OUT, 95 ** 0.5)):
        found |= {f"{layer}.lora_down.weight": torch.tensor([[1.0, 0.0, 0.0]]), f"{layer}.alpha": torch.tensor(1.0),
                  f"{layer}.lora_up.weight": torch.tensor([[size], [0.0]])}
    return found


@pytest.mark.parametrize(("more", "gone"), [
    ({}, {TEXT: "empty"}), ({"empty": False, "below": 0.02}, {TEXT: "weak", MID: "weak"}),
    ({"below": 0.05}, {TEXT: "weak", MID: "weak", Q: "weak"}), ({"empty": False, "blocks": ("OUT03",)}, {OUT: "named"}),
    ({"below": 0.05, "measure": "norm", "empty": False}, {TEXT: "weak"}),  # the middle is 1 of 12.7
])
def test_what_goes_is_told_and_the_rest_is_the_same(tmp_path: Path, more: dict[str, Any], gone: dict[str, str]) -> None:
    source, out = stored.write(tmp_path / "x.safetensors", lora(), trigger="zko"), tmp_path / "y.safetensors"
    told, done = pruned(source, **more), pruned(source, out=out, **more)
    assert told.file is None and told.rows == done.rows and done.facts["dropped"] == len(gone)
    kept = {name: tensor for name, tensor in lora().items() if name.split(".")[0] not in gone}
    assert stored.same(load_file(out), kept)
    assert {row["why"] for row in done.rows if row["dropped"]} == set(gone.values())
    facts = file.inspect(out)
    assert facts["hash_matches"] and facts["metadata"]["trigger"] == "zko"


def test_the_rows_are_the_blocks_with_their_parts_of_the_whole(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", lora())
    rows = pruned(source).rows
    assert [(row["block"], round(row["share"], 6), row["layers"], row["ranks"]) for row in rows] == [
        ("BASE", 0, 1, "1"), ("IN01", 0.04, 1, "1"), ("M00", 0.01, 1, "1"), ("OUT03", 0.95, 1, "1")]
    assert {row["block"]: pytest.approx(row["norm"]) for row in rows} == norms.block_norms(source, "sd15").norms


def test_dora_whose_factors_are_zero_still_changes_the_weight(tmp_path: Path) -> None:
    tensors = lora() | {f"{TEXT}.dora_scale": torch.ones(2, 1)}
    assert pruned(stored.write(tmp_path / "x.safetensors", tensors)).facts["dropped"] == 0


def test_files_of_other_names_and_strange_tensors_keep_both(tmp_path: Path) -> None:
    strange = {"bundle_emb.word.x": torch.ones(2), f"{TEXT}.newest_factor": torch.ones(1)}
    tensors = stored.respelled(lora(), "sd1", names.PEFT) | strange
    outcome = pruned(stored.write(tmp_path / "x.safetensors", tensors), out=tmp_path / "y.safetensors")
    gone = {name for name in tensors if name.startswith("text_encoder.")}
    assert len(gone) == 2 and load_file(tmp_path / "y.safetensors").keys() == tensors.keys() - gone
    assert len(outcome.notes) == 3 and outcome.notes[0].startswith("The file mixes the names")


def test_orders_that_cannot_be_are_told_at_once(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", lora())
    with pytest.raises(Problems) as raised:
        pruned(source, below=1.5, measure="size", blocks=("IN99",))
    assert [problem.split(" ")[0] for problem in raised.value.problems] == ["Blocks", "Measured", "The"]
    with pytest.raises(UserError, match=r"Nothing of 'x.safetensors' would be left"):
        pruned(source, blocks=("IN01", "M00", "OUT03"))
    stored.write(tmp_path / "z.safetensors", lora(), "")
    with pytest.raises(Problems, match="does not tell which kind of model"):
        pruned(tmp_path / "z.safetensors", below=0.1)
    assert pruned(tmp_path / "z.safetensors", below=0.02, family="sd1", empty=False).facts["dropped"] == 2
    full = {name: tensor for name, tensor in lora().items() if not name.startswith(TEXT)}
    nothing = pruned(stored.write(tmp_path / "full.safetensors", full), out=tmp_path / "y.safetensors")
    assert nothing.file is None and not (tmp_path / "y.safetensors").exists()
    assert nothing.facts["summary"] == "Nothing would go: no file was written."


def test_inspection_tells_all_of_a_file(tmp_path: Path) -> None:
    tensors = lora() | {f"{TEXT}.dora_scale": torch.ones(2, 1), f"{MID}.something": torch.ones(1)}
    tensors[f"{Q}.lora_up.weight"][0, 0] = math.nan
    source = stored.write(tmp_path / "x.safetensors", tensors)
    outcome = inspection.inspect(source)
    facts = outcome.facts
    assert {key: facts[key] for key in ("naming", "algorithm", "kinds", "family", "ranks", "alphas", "dtypes",
                                        "hash_matches", "blocks", "unknown", "layers_in_no_block")} == {
        "naming": "kohya", "algorithm": "dora", "kinds": {"lora with DoRA": 1, "lora": 3}, "family": "sd1",
        "ranks": {1: 4}, "alphas": {1.0: 4}, "dtypes": {"float32": 14}, "hash_matches": True,
        "blocks": ["BASE", "IN01", "M00", "OUT03"], "unknown": [f"{MID}.something"], "layers_in_no_block": 0}
    assert facts["summary"].startswith("x.safetensors: dora, SD 1.x, 4 layers, rank 1, ")
    assert facts["hashes"]["sshs_model_hash"] == facts["tensor_hash"] == file.tensor_hash(source)
    assert [note.split(" ")[0] for note in outcome.notes] == ["1", "1", "The"]  # unknown tensor, nan, DoRA's size
    assert [row["block"] for row in outcome.rows] == facts["blocks"]
