"""Resized LoRAs: the full rank is the identity, ranks are what was asked for, and what is not understood is kept."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.lora import file
from lib_trainer.workbench import resize, resize_folder
from lib_trainer.workbench.operation import Outcome, finish
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.resize import ResizeOrder
from lib_trainer.workbench.resize_folder import FolderOrder
from tests.lora.models import ATTENTION, KERNEL, PROJECTION, TEXT
from tests.workbench import algebra
from tests.workbench.algebra import EXACT, drawn, error, plain, summed, written

RESIZED = Reduction("svd", 2, 1)


def resized(source: Path, out: Path, reduction: Reduction = RESIZED, **more: Any) -> tuple[dict[str, Any], Outcome]:
    outcome = finish(resize.run(ResizeOrder(source, out, reduction, device="cpu", **more)))
    return file.load(out).tensors, outcome


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 8), st.floats(0.1, 20), st.integers(0, 99))
def test_the_full_rank_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory, rank: int, alpha: float, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("resize")
    one = plain(rank, alpha, seed)
    tensors, outcome = resized(written(folder / "a.safetensors", one), folder / "b.safetensors", Reduction("svd", rank))
    assert error(tensors, summed((1.0, one))) < EXACT
    assert outcome.facts["retained"] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("kind", ["loha", "lokr", "full_b", "lora_sparse_bias", "tucker", "norm"])
def test_every_kind_that_stands_alone_becomes_factors(tmp_path: Path, kind: str) -> None:
    one = drawn(kind, names=[TEXT, KERNEL]) | plain(1, names=[ATTENTION])
    tensors, outcome = resized(written(tmp_path / "a.safetensors", one), tmp_path / "b.safetensors",
                               Reduction("svd", 8))
    assert error(tensors, summed((1.0, one))) < EXACT and outcome.facts["as_difference"] == 0
    parts = {name.split(".", 1)[1] for name in tensors}
    assert parts <= {"lora_up.weight", "lora_down.weight", "alpha", "diff_b", "w_norm", "b_norm"}


@pytest.mark.parametrize("kind", ["dora_out", "oft"])
def test_kinds_that_need_the_base_stay_or_are_resized_with_it(tmp_path: Path, kind: str) -> None:
    one = drawn(kind, names=[TEXT, KERNEL]) | plain(4, names=[ATTENTION])
    path = written(tmp_path / "a.safetensors", one)
    tensors, outcome = resized(path, tmp_path / "b.safetensors")
    assert all(torch.equal(tensors[name], tensor) for name, tensor in one.items() if ATTENTION not in name)
    assert tensors[f"{ATTENTION}.alpha"] == 2 and any("2 layers of the kind" in note for note in outcome.notes)
    tensors, _ = resized(path, tmp_path / "c.safetensors", Reduction("svd", 8), base=algebra.base_file(tmp_path))
    assert error(tensors, summed((1.0, one))) < EXACT
    with pytest.raises(UserError, match="no layer whose rank could be changed"):
        resized(written(tmp_path / "d.safetensors", drawn(kind)), tmp_path / "e.safetensors")


def test_the_ranks_are_those_asked_for(tmp_path: Path) -> None:
    """Neither one more, nor at least two; a 1x1 convolution has the rank of matrices."""
    path = written(tmp_path / "a.safetensors", plain(4))
    for number, (reduction, plain_rank, conv_rank) in enumerate((
        (Reduction("svd", 3, 2), 3, 2), (Reduction("svd", 1), 1, 1), (Reduction("svd", 99, 1), 4, 1),
        (Reduction("svd", dynamic="sv_ratio", threshold=1.0001), 1, 1),
    )):
        tensors, outcome = resized(path, tmp_path / f"{number}.safetensors", reduction)
        found = {name: tensors[f"{name}.lora_down.weight"].shape[0] for name in (TEXT, PROJECTION, KERNEL)}
        assert found == {TEXT: plain_rank, PROJECTION: plain_rank, KERNEL: conv_rank}
        assert tensors[f"{PROJECTION}.lora_down.weight"].shape == (plain_rank, 6, 1, 1)
        assert all(tensors[f"{name}.alpha"] == rank for name, rank in found.items())
        assert outcome.facts["retained"] < 1.0 or reduction.rank == 99


def test_the_record_and_what_is_not_understood_are_kept(tmp_path: Path) -> None:
    strange = {"lora_unet_x.strange": torch.ones(2, dtype=torch.int64), "bundle_emb.e.string_to_param.*": torch.ones(3)}
    path = written(tmp_path / "a.safetensors", plain(4) | strange, ss_network_dim="4", ss_network_alpha="1.0",
                   ss_training_comment="mine", ss_output_name="a", ss_tag_frequency="{}",
                   lora_adapter_metadata="{}")
    tensors, outcome = resized(path, tmp_path / "b.safetensors")
    record = file.load(tmp_path / "b.safetensors").metadata
    assert all(torch.equal(tensors[name], tensor) for name, tensor in strange.items())
    assert any("carried over untouched" in note and "strange" in note for note in outcome.notes)
    assert (record["ss_network_dim"], record["ss_network_alpha"]) == ("2", "2.0")
    assert json.loads(record["ss_network_args"]) == {"conv_dim": "1", "conv_alpha": "1.0"}
    assert record["ss_training_comment"] == "dimension is resized from 4 to 1-2; mine"
    assert record["ss_output_name"] == "b" and record["ss_tag_frequency"] == "{}"
    assert "lora_adapter_metadata" not in record  # it told the former alphas
    assert file.inspect(tmp_path / "b.safetensors")["hash_matches"] is True
    assert record["workbench.source"] == "a" and record["workbench.source_hash"] == file.tensor_hash(path)
    resized(path, tmp_path / "c.safetensors", Reduction("svd", dynamic="frobenius", threshold=0.9))
    record = file.load(tmp_path / "c.safetensors").metadata
    assert record["ss_network_dim"] == "Dynamic" == record["ss_network_alpha"]
    assert record["ss_training_comment"].startswith("Dynamic resize with frobenius: 0.9 from 4 to ")


def test_contradictions_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", plain(2))
    for more, sentence in (
        ({"reduction": Reduction()}, "'exact' keeps them"), ({"reduction": Reduction("svd", 0)}, "rank = 0: "),
        ({"precision": "fp8"}, "'fp8' is none"), ({"family": "flux"}, "'flux' is none"),
        ({"out": path}, "never overwritten"),
    ):
        values: dict[str, Any] = {"out": tmp_path / "b.safetensors", "reduction": RESIZED, **more}
        with pytest.raises(UserError, match=sentence):
            finish(resize.run(ResizeOrder(path, **values)))
    assert [found.name for found in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_folder_is_resized_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path / "a.safetensors", plain(4))
    written(tmp_path / "sub" / "b.safetensors", plain(3))
    (tmp_path / "broken.safetensors").write_bytes(b"no file")
    order, told = FolderOrder(tmp_path, tmp_path, RESIZED, suffix="_r2", device="cpu"), []
    outcome = finish(resize_folder.run(order), told.append)
    rows = {row["file"]: row for row in outcome.rows}
    assert rows["a.safetensors"]["ranks"] == "1-2" and rows["a.safetensors"]["fault"] == ""
    assert "is not a safetensors file" in rows["broken.safetensors"]["fault"]
    assert (tmp_path / "sub" / "b_r2.safetensors").is_file()
    assert (outcome.facts["files"], outcome.facts["failed"]) == (2, 1)
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    written(tmp_path / "c.safetensors", plain(2) | {"lora_unet_x.strange": torch.ones(2)})
    again = finish(resize_folder.run(order))
    assert [row["file"] for row in again.rows] == ["broken.safetensors", "c.safetensors"]
    assert any("2 files were left alone" in note for note in again.notes)
    assert any(note.startswith("c.safetensors: ") and "strange" in note for note in again.notes)


def test_a_folder_into_its_own_sub_folder_and_what_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.safetensors", plain(2))
    order = FolderOrder(tmp_path, tmp_path / "small", RESIZED, suffix="", device="cpu")
    finish(resize_folder.run(order))
    assert [path.name for path in (tmp_path / "small").iterdir()] == ["a.safetensors"]
    (tmp_path / "empty").mkdir()
    for refused, sentence in (
        (order, "All 1 LoRAs"),
        (FolderOrder(tmp_path / "none", tmp_path, RESIZED, suffix="_x"), "There is no folder"),
        (FolderOrder(tmp_path / "empty", tmp_path, RESIZED, suffix="_x"), "no .safetensors files"),
        (FolderOrder(tmp_path, tmp_path, Reduction("svd"), suffix="_x"), "rank is not given"),
        (FolderOrder(tmp_path, tmp_path, RESIZED, suffix="/../x"), "The ending '/../x' becomes a file name"),
    ):
        with pytest.raises(UserError, match=sentence):
            finish(resize_folder.run(refused))
    (tmp_path / "empty" / "bad.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"bad.safetensors: The file"):
        finish(resize_folder.run(FolderOrder(tmp_path / "empty", tmp_path, RESIZED, suffix="_x")))


def test_a_file_that_vanishes_stops_no_folder(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        written(tmp_path / f"{name}.safetensors", plain(2))
    operation = resize_folder.run(FolderOrder(tmp_path, tmp_path, RESIZED, suffix="_r2", device="cpu"))
    next(operation)
    (tmp_path / "b.safetensors").unlink()
    outcome = finish(operation)
    assert [bool(row["fault"]) for row in outcome.rows] == [False, True, False]
    assert "b.safetensors" in outcome.rows[1]["fault"] and outcome.facts["files"] == 2


def test_what_rounding_takes_away_is_told(tmp_path: Path) -> None:
    """fp16 ends at 6e-8, fp32 does not: a layer of such numbers is nothing in fp16."""
    tiny = {name: tensor * 1e-9 if "alpha" not in name else tensor for name, tensor in plain(2, names=[TEXT]).items()}
    path = written(tmp_path / "a.safetensors", tiny | plain(2, names=[ATTENTION]))
    _, outcome = resized(path, tmp_path / "b.safetensors", precision="fp16")
    lost = file.load(path).tensors[f"{TEXT}.lora_up.weight"].shape[0]
    assert outcome.facts["vanished"] >= lost
    assert any(f"1 of 2 layers lost what they do by it, such as '{TEXT}'" in note for note in outcome.notes)
    assert next(row for row in outcome.rows if row["block"] == "BASE")["retained"] == 0.0
    for precision in ("bf16", "fp32"):
        _, outcome = resized(path, tmp_path / f"{precision}.safetensors", precision=precision)
        assert outcome.facts["vanished"] == 0 and not any("became 0" in note for note in outcome.notes)
    _, outcome = algebra.merged(tmp_path / "m.safetensors", algebra.Source(path, 1e-9), precision="fp16")
    assert outcome.facts["vanished"] > 0 and any("became 0" in note for note in outcome.notes)


def test_layers_that_stay_keep_their_precision_and_it_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", drawn("oft", names=[TEXT]) | plain(4, names=[ATTENTION]))
    tensors, outcome = resized(path, tmp_path / "b.safetensors", precision="fp16")
    assert tensors[f"{ATTENTION}.lora_up.weight"].dtype == torch.float16
    assert any("also in their precision (float32 and not fp16)" in note for note in outcome.notes)
    _, outcome = resized(path, tmp_path / "c.safetensors")
    assert not any("also in their precision" in note for note in outcome.notes)
