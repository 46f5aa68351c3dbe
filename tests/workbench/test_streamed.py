"""Files written tensor by tensor: what is in them, what is left when something goes wrong, how much memory it takes."""
from __future__ import annotations

import json
import shutil
import tracemalloc
from pathlib import Path
from unittest import mock

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lib_trainer.errors import UserError
from lib_trainer.lora import checkpoint
from lib_trainer.workbench import streamed
from lib_trainer.workbench.streamed import Entry

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(5, dtype=torch.bfloat16), "number": torch.tensor(3.0),
    "whole": torch.tensor([1, 2]), "none": torch.zeros(0), "half": torch.full((3,), 0.5).half(),
    "eight": torch.ones(3).to(torch.float8_e4m3fn), "flag": torch.tensor([True]),
}


def copied(source: Path, out: Path, precision: str = streamed.AS_IT_IS) -> None:
    with checkpoint.opened(source) as file:
        entries = streamed.laid_out(Entry(name, streamed.converted(dtype, precision), shape)
                                    for name, (dtype, shape) in file.entries.items())
        with streamed.writing(out, entries, file.metadata) as writer:
            for entry in entries:
                writer.write(file.read(entry.name))


def tensor_area(path: Path) -> bytes:
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little"):]


def test_a_copy_is_the_same_bytes(tmp_path: Path) -> None:
    source, out = tmp_path / "a.safetensors", tmp_path / "sub" / "b.safetensors"
    save_file(TENSORS, source, {"title": "ä", "x": "1"})
    copied(source, out)
    assert tensor_area(source) == tensor_area(out)
    with safe_open(out, "pt") as file, safe_open(source, "pt") as former:
        assert file.metadata() == {"title": "ä", "x": "1"}
        assert list(file.keys()) == list(former.keys())
        assert all(torch.equal(file.get_tensor(name).double(), TENSORS[name].double()) for name in TENSORS)


def test_a_precision_changes_what_has_a_fraction(tmp_path: Path) -> None:
    source, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file(TENSORS, source)
    copied(source, out, "fp16")
    made = load_file(out)
    assert {made[name].dtype for name in ("a", "b", "number", "none", "half", "eight")} == {torch.float16}
    assert made["whole"].dtype == torch.int64 and made["flag"].dtype == torch.bool
    assert torch.equal(made["a"], TENSORS["a"].half())


def test_pickles_are_read_as_weights_alone(tmp_path: Path) -> None:
    pickled, old, out = tmp_path / "a.ckpt", tmp_path / "old.ckpt", tmp_path / "b.safetensors"
    torch.save({"state_dict": TENSORS, "global_step": 3}, pickled)
    copied(pickled, out)
    assert torch.equal(load_file(out)["a"], TENSORS["a"])
    torch.save({"a": TENSORS["a"]}, old, _use_new_zipfile_serialization=False)  # as torch before 1.6 wrote it
    with checkpoint.opened(old) as file:
        assert torch.equal(file.read("a"), TENSORS["a"]) and file.metadata == {}
    torch.save({"a": Path("x")}, tmp_path / "code.ckpt")
    with pytest.raises(UserError, match="weights alone"), checkpoint.opened(tmp_path / "code.ckpt"):
        pass


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    out = tmp_path / "b.safetensors"
    entries = [Entry("a", "F32", (2,)), Entry("b", "F16", (2,))]
    with pytest.raises(UserError, match=r"'b'.*70000.*too great for F16.*bf16"), \
            streamed.writing(out, entries, {}) as writer:
        writer.write(torch.ones(2))
        writer.write(torch.tensor([1.0, 70000.0]))
    with pytest.raises(ValueError, match=r"a is \[3\]"), streamed.writing(out, entries, {}) as writer:
        writer.write(torch.ones(3))
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_for_a_file_and_not_without_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "new" / "deep", tmp_path / "mine"):
        out = folder / "out.safetensors"
        with pytest.raises(KeyboardInterrupt), streamed.writing(out, [Entry("a", "F32", (2,))], {}):
            raise KeyboardInterrupt
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]  # what was there before stays, though empty
    with streamed.writing(tmp_path / "new" / "out.safetensors", [Entry("a", "F32", (2,))], {}) as writer:
        writer.write(torch.zeros(2))
    assert (tmp_path / "new" / "out.safetensors").is_file()


def test_nothing_is_overwritten_unless_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "b.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(UserError, match="never overwritten"), streamed.writing(out, [], {}):
        pass
    assert out.read_bytes() == b"mine"
    with streamed.writing(out, [Entry("a", "F32", (1,))], {}, overwrite=True) as writer:
        writer.write(torch.ones(1))
    assert torch.equal(load_file(out)["a"], torch.ones(1))


def test_the_disk_is_asked_before_the_first_byte(tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    full = mock.patch.object(shutil, "disk_usage", lambda path: usage._replace(free=10_000_000))
    with full, pytest.raises(UserError, match=r"needs 40\.0 MB, and its disk has 10\.0 MB left. Free 30\.0 MB"), \
            streamed.writing(tmp_path / "x" / "b.safetensors", [Entry("a", "F32", (10_000_000,))], {}):
        pass
    assert list(tmp_path.iterdir()) == []


def test_wide_numbers_come_first(tmp_path: Path) -> None:
    """A reader that maps the file takes a tensor of 4 bytes a number only at a multiple of 4."""
    entries = streamed.laid_out([Entry("odd", "U8", (3,)), Entry("half", "F16", (3,)), Entry("full", "F32", (1,))])
    with streamed.writing(tmp_path / "a.safetensors", entries, {}) as writer:
        for entry in entries:
            writer.write(torch.ones(entry.shape))
    content = (tmp_path / "a.safetensors").read_bytes()
    header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
    assert [(name, entry["data_offsets"][0]) for name, entry in header.items()] == [
        ("full", 0), ("half", 4), ("odd", 10)]


def test_the_memory_is_that_of_a_tensor(tmp_path: Path) -> None:
    source, megabyte = tmp_path / "a.safetensors", 1 << 20
    save_file({f"t{index:02d}": torch.zeros(megabyte, dtype=torch.uint8) for index in range(24)}, source)
    tracemalloc.start()  # the file's bytes are Python's before they are a tensor's
    copied(source, tmp_path / "b.safetensors")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * megabyte  # one being read (a buffer and its copy), one being written
