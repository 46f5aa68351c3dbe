"""Metadata set, taken out, made private: what goes, and no byte of a tensor changes. Hashes as others have them."""
from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora import file, metadata
from lib_trainer.workbench import hashes, metadata_edit, private_metadata
from lib_trainer.workbench.metadata_edit import MetadataOrder
from lib_trainer.workbench.operation import Outcome, finish
from tests.workbench import stored

DATA = Path(__file__).parents[1] / "data"
OF_SD_SCRIPTS = json.loads((DATA / "sd15_lora_metadata.json").read_text("utf8"))
"""The metadata of a file of sd-scripts."""
RECORD = {"ss_tag_frequency": '{"2_me": {"tag": 3}}', "ss_dataset_dirs": '{"2_me": {}}', "ss_output_name": "mine",
          "modelspec.title": "Mine", "modelspec.author": "me", "ss_training_comment": "for A. Person",
          "ss_network_dim": "2", "note": r"C:\Users\me\x.png", "other": "see /home/me/y", "ss_seed": "42",
          "modelspec.hash_sha256": "0x00", "modelspec.implementation": "https://github.com/kohya-ss/sd-scripts"}


def edited(source: Path, **more: Any) -> Outcome:
    return finish(metadata_edit.run(MetadataOrder(source, **more)))


def area(path: Path) -> bytes:
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little"):]


def test_entries_are_set_and_taken_out_and_the_tensors_are_the_same_bytes(tmp_path: Path) -> None:
    source, out = stored.write(tmp_path / "x.safetensors", stored.small(), **RECORD), tmp_path / "y.safetensors"
    more: dict[str, Any] = {"put": {"modelspec.author": "she", "new": "ü"}, "remove": ("ss_tag_*", "note")}
    told, before = edited(source, **more), source.read_bytes()
    done = edited(source, out=out, **more)
    assert told.file is None and told.rows == done.rows and source.read_bytes() == before
    assert area(out) == area(source)
    _, found = file.read_header(out)
    assert found["modelspec.author"] == "she" and found["new"] == "ü" and found["ss_seed"] == "42"
    assert not {"ss_tag_frequency", "note"} & found.keys()
    assert found["modelspec.hash_sha256"] == f"0x{found['sshs_model_hash']}" == f"0x{file.tensor_hash(out)}"
    assert [(row["entry"], row["before"], row["after"], row["why"]) for row in done.rows] == [
        ("modelspec.author", "me", "she", "asked for"),
        ("modelspec.hash_sha256", "0x00", f"0x{file.tensor_hash(out)}", "hash"),
        ("new", "", "ü", "asked for"), ("note", r"C:\Users\me\x.png", "", "asked for"),
        ("ss_tag_frequency", '{"2_me": {"tag": 3}}', "", "asked for")]


def test_nothing_private_is_left(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", stored.small(), **RECORD)
    outcome = edited(source, out=tmp_path / "public.safetensors", privacy=True)
    _, found = file.read_header(tmp_path / "public.safetensors")
    assert found.keys() == {"ss_base_model_version", "ss_network_dim", "ss_seed", "ss_output_name", "modelspec.title",
                            "modelspec.hash_sha256", "modelspec.implementation", "sshs_model_hash", "sshs_legacy_hash"}
    assert found["ss_output_name"] == found["modelspec.title"] == "public"
    assert {row["entry"]: row["why"] for row in outcome.rows if row["why"] != "hash"} == {
        "ss_tag_frequency": "tags", "ss_dataset_dirs": "folders", "ss_output_name": "file names", "note": "paths",
        "modelspec.title": "file names", "modelspec.author": "person", "ss_training_comment": "comments",
        "other": "paths"}


def test_what_our_own_operations_record_of_other_files_is_private_too() -> None:
    """Names and hashes of what a file was made of; how it was made may be told."""
    for key in ("block_weight.source", "block_weight.source_sha256", "block_weight.source_model_hash",
                "block_weight.tag", "block_weight.base", "workbench.source", "workbench.source_hash",
                "workbench.sources", "workbench.base", "workbench.tuned", "ot_config"):
        assert private_metadata.reason(key, "x"), key
    for key in ("block_weight.blocks", "block_weight.te", "workbench.reduction", "workbench.folded"):
        assert not private_metadata.reason(key, "x"), key


@pytest.mark.parametrize(("text", "private"), [
    ("/home/me/x", True), (r"C:\x", True), ("D:/x", True), (r"\\nas\x", True), ("~/x", True), ('["/a/b"]', True),
    ("https://a.b/c/d", False), ("sd-scripts/48d368", False), ("1/2", False), ("(512, 512)", False),
    ("torch.optim.adamw.AdamW", False), ("stable-diffusion-v1/lora", False), ("a / b", False),
])
def test_paths_are_told_from_addresses(text: str, private: bool) -> None:
    assert bool(private_metadata.reason("anything", text)) is private


def test_of_a_file_of_sd_scripts_only_neutral_entries_are_left(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", stored.small(), **OF_SD_SCRIPTS)
    edited(source, out=tmp_path / "y.safetensors", privacy=True)
    _, found = file.read_header(tmp_path / "y.safetensors")
    gone = OF_SD_SCRIPTS.keys() - found.keys()
    assert gone == {"ss_dataset_dirs", "ss_tag_frequency", "ss_sd_model_name", "ss_training_started_at",
                    "ss_training_finished_at", "ss_session_id", "modelspec.date"}
    secrets = ("shp", "circle", "sd15_full", "sd15_lora_r8")  # folder, tag, checkpoint, name
    assert not any(secret in text for text in found.values() for secret in secrets)


def test_only_what_is_needed_can_be_kept(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", stored.small(), **OF_SD_SCRIPTS)
    edited(source, out=tmp_path / "y.safetensors", keep="needed")
    _, found = file.read_header(tmp_path / "y.safetensors")
    assert found.keys() <= set(private_metadata.NEEDED) and {"ss_network_dim", "ss_base_model_version"} <= found.keys()
    assert area(tmp_path / "y.safetensors") == area(source)


def test_orders_that_cannot_be_are_told_at_once(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", stored.small())
    with pytest.raises(Problems) as raised:
        edited(source, keep="some", remove=("nothing",), put={"sshs_model_hash": "0", " ": "x", "half": "\ud800"})
    assert len(raised.value.problems) == 5
    nothing = edited(source, out=tmp_path / "y.safetensors")
    assert nothing.file is None and nothing.notes == ["Nothing would change: no file was written."]
    with pytest.raises(UserError, match="never overwritten"):
        edited(source, out=source, put={"a": "b"})
    assert metadata_edit.preview(MetadataOrder(source, tmp_path / "y.safetensors", {"a": "b"})).file is None
    assert not (tmp_path / "y.safetensors").exists()


def test_a_cancelled_edit_leaves_nothing(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", stored.small())
    operation = metadata_edit.run(MetadataOrder(source, tmp_path / "y.safetensors", {"a": "b"}))
    assert {next(operation).what for _ in range(2)} == {"Reading", "Writing"}
    operation.close()
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_metadata_are_edited_and_hashed_without_torch(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", stored.small())
    code = ("import sys; from pathlib import Path; from lib_trainer.workbench import hashes, metadata_edit as m; "
            "a, b = map(Path, sys.argv[1:]); m.finish(m.run(m.MetadataOrder(a, b, {'x': 'y'}))); hashes.hashes(b); "
            "assert 'torch' not in sys.modules")
    subprocess.run([sys.executable, "-c", code, str(source), str(tmp_path / "y.safetensors")], check=True)
    assert file.read_header(tmp_path / "y.safetensors")[1]["x"] == "y"


def test_hashes_are_those_that_other_programs_compute(tmp_path: Path) -> None:
    big = {"lora_unet_x.lora_up.weight": torch.arange(300_000.0)}
    source = stored.write(tmp_path / "x.safetensors", big, other="not of ss_")
    content, found = source.read_bytes(), hashes.hashes(source)
    whole, tensors = hashlib.sha256(content).hexdigest(), hashlib.sha256(area(source)).hexdigest()
    stated = metadata.hashes(big, file.read_header(source)[1])
    assert {key: found[key] for key in ("sha256", "autov1", "autov2", "autov3", "crc32")} == {
        "sha256": whole, "autov1": hashlib.sha256(content[1 << 20:(1 << 20) + (1 << 16)]).hexdigest()[:8],
        "autov2": whole[:10], "autov3": tensors[:12], "crc32": f"{zlib.crc32(content):08X}"}
    assert {key: found[key] for key in stated} == stated and found["sshs_legacy_hash"] != found["autov1"]


def test_other_files_have_the_hashes_of_whole_files(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"abc")
    found = hashes.hashes(tmp_path / "x.pt")
    assert found["sha256"].startswith("ba7816bf") and found["crc32"] == "352441C2" and "autov3" not in found
    with pytest.raises(UserError, match="Cannot read"):
        hashes.hashes(tmp_path / "none.pt")
