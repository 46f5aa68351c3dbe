"""LoRA files: what is saved comes back bit by bit, and nothing is lost, overwritten or left half done."""
from __future__ import annotations

import errno
import json
import multiprocessing.synchronize
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from lib_trainer.errors import UserError
from lib_trainer.families.sd1 import SD1
from lib_trainer.lora import file, metadata, network
from tests.lora.models import EVERYTHING, layers

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def state(dtype: torch.dtype = torch.float16, seed: int = 0) -> dict[str, torch.Tensor]:
    return network.create(layers(), EVERYTHING, SD1, seed).state_dict(dtype)


@st.composite
def contents(draw: st.DrawFn) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    tensors = {}
    for name in draw(st.sets(st.text("abc_.", min_size=1, max_size=8), min_size=1, max_size=5)):
        shape = draw(st.lists(st.integers(1, 4), max_size=4))
        bits = torch.randint(0, 256, (*shape, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(
            draw(st.integers(0, 2**32))))
        tensors[name] = bits.view(torch.float32)[..., 0].nan_to_num().to(draw(st.sampled_from(DTYPES)))
    return tensors, draw(st.dictionaries(st.text(max_size=9), st.text(max_size=20), max_size=4))


@given(contents())
@settings(max_examples=50, deadline=None)
def test_saved_comes_back_bit_equal(content: tuple[dict[str, torch.Tensor], dict[str, str]]) -> None:
    tensors, facts = content
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.safetensors")
        file.save(path, tensors, facts)
        back = file.load(path)
        independent = load_file(path)
    assert back.metadata == facts
    assert back.tensors.keys() == independent.keys() == tensors.keys()
    for name, tensor in tensors.items():
        for found in (back.tensors[name], independent[name]):
            assert found.dtype == tensor.dtype and found.shape == tensor.shape
            assert torch.equal(found.view(torch.uint8) if found.dim() else found, (
                tensor.view(torch.uint8) if tensor.dim() else tensor))


def test_same_content_same_bytes() -> None:
    facts = {f"ss_{n}": str(n) for n in range(40)}
    backwards = dict(reversed(facts.items()))
    assert file.serialise(state(), facts) == file.serialise(dict(reversed(state().items())), backwards)


def test_header_tells_dtype_and_shape(tmp_path: Path) -> None:
    file.save(tmp_path / "x.safetensors", {"a": torch.zeros(2, 3, dtype=torch.float16)}, {"k": "ö"})
    assert file.read_header(tmp_path / "x.safetensors") == ({"a": ("F16", (2, 3))}, {"k": "ö"})


def test_loaded_tensors_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    file.save(path, state(), {})
    loaded = file.load(path)
    path.write_bytes(b"")
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in state().items())


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(UserError, match="never overwritten"):
        file.save(path, state(), {})
    assert path.read_bytes() == b"mine" and os.listdir(tmp_path) == [path.name]
    file.save(path, state(), {}, overwrite=True)
    assert file.read_header(path)[0].keys() == state().keys()
    assert os.listdir(tmp_path) == [path.name]


def test_a_file_that_appears_during_the_save_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    sync = os.fsync

    def other_program_saves(descriptor: int) -> None:
        path.write_bytes(b"theirs")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", other_program_saves)
    with pytest.raises(UserError, match="never overwritten"):
        file.save(path, state(), {})
    assert path.read_bytes() == b"theirs" and os.listdir(tmp_path) == [path.name]


def _save_seeded(path: Path, seed: int, barrier: multiprocessing.synchronize.Barrier) -> None:
    tensors = {"x": torch.full((1000,), float(seed))}
    barrier.wait()
    try:
        file.save(path, tensors, {})
    except UserError:
        sys.exit(1)


def test_of_two_processes_one_wins_whole(tmp_path: Path) -> None:
    path, context = tmp_path / "x.safetensors", multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    racers = [context.Process(target=_save_seeded, args=(path, seed, barrier)) for seed in (1, 2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(racer.exitcode for racer in racers) == [0, 1]
    winner = next(seed for seed, racer in zip((1, 2), racers, strict=True) if racer.exitcode == 0)
    assert torch.equal(file.load(path).tensors["x"], torch.full((1000,), float(winner)))
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"disk is full: .*x\.safetensors' needs 0\.0 MB .*Free some space"):
        file.save(tmp_path / "x.safetensors", state(), {})
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file size limit per process")
def test_the_system_refuses_more_bytes(tmp_path: Path) -> None:
    """A real refusal in the middle of the write: the process may write 4 KB only."""
    program = f"""
import resource, signal
from pathlib import Path
import torch
from lib_trainer.errors import UserError
from lib_trainer.lora import file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    file.save(Path({str(tmp_path)!r}, "x.safetensors"), {{"x": torch.zeros(5000)}}, {{}})
except UserError as error:
    raise SystemExit(0 if "disk is full" in str(error) else 2)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot kill without asking")
def test_a_kill_leaves_a_hidden_temporary_that_the_next_save_removes(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    program = f"""
import os, signal
from pathlib import Path
import torch
from lib_trainer.lora import file
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
file.save(Path({str(path)!r}), {{"x": torch.zeros(5000)}}, {{}})
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    [left] = os.listdir(tmp_path)
    assert left.startswith(".x.safetensors.") and left.endswith(".tmp")
    file.save(path, state(), {})
    assert os.listdir(tmp_path) == [path.name]


def test_folders_are_made_and_unwritable_ones_reported(tmp_path: Path) -> None:
    file.save(tmp_path / "new" / "x.safetensors", state(), {})
    (tmp_path / "plain").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        file.save(tmp_path / "plain" / "x.safetensors", state(), {})


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_saved_files_are_readable_as_the_umask_says(tmp_path: Path) -> None:
    file.save(tmp_path / "x.safetensors", state(), {})
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("kept", [0, 4, 8, 50, -1])
def test_truncated_files_are_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(file.serialise(state(), {"k": "v"})[:kept])
    for read in (file.read_header, file.load, file.inspect):
        with pytest.raises(UserError, match=r"x\.safetensors' is (not a safetensors file|damaged)"):
            read(path)


def header_file(path: Path, header: object, data: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize(
    "header",
    [
        [], 5, {"__metadata__": 5}, {"a": 5}, {"a": {}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}},
        {"a": {"dtype": 1, "shape": [1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]}},
    ],
)
def test_senseless_headers_are_refused(tmp_path: Path, header: object) -> None:
    with pytest.raises(UserError, match="header cannot be read"):
        file.read_header(header_file(tmp_path / "x.safetensors", header, b"0000"))


def test_headers_that_lie_about_the_data_are_refused(tmp_path: Path) -> None:
    lying = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}
    with pytest.raises(UserError, match="damaged"):
        file.load(header_file(tmp_path / "x.safetensors", lying, b"0000"))


def test_a_huge_header_length_reads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match="not a safetensors file"):
        file.read_header(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(UserError, match="Cannot read the file"):
            file.read_header(path)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inspect(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors, path = state(dtype), tmp_path / "x.safetensors"
    facts = {"ss_base_model_version": "sd_v1"}
    facts |= metadata.hashes(tensors, facts)
    file.save(path, tensors, facts)
    found = file.inspect(path)
    assert json.loads(json.dumps(found)) | {"metadata": facts} == {
        "file": str(path), "bytes": path.stat().st_size, "algorithm": "locon", "family": "sd1", "arch": "sd15",
        "tensors": 18, "layers": found["layers"], "layers_in_no_block": 0,
        "blocks": ["BASE", "IN01", "IN03", "OUT09"], "ranks": {"3": 4, "2": 2}, "alphas": {"1.5": 4, "4.0": 2},
        "dtypes": {{torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}[dtype]: 18},
        "tensor_hash": facts["sshs_model_hash"], "hash_matches": True, "metadata": facts,
    }
    assert sorted(found["layers"]) == sorted(target.name for target in layers())


def test_inspect_sees_changed_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    file.save(path, state(seed=1), metadata.hashes(state(seed=2), {}))
    assert file.inspect(path)["hash_matches"] is False


def test_reading_and_inspecting_need_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    file.save(path, state(), {})
    program = (
        "import sys; from pathlib import Path; from lib_trainer.lora import file;"
        f"file.inspect(Path({str(path)!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
