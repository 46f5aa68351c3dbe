"""The record says which numbers went into a file: the hash of what was read, whatever its metadata claim."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_trainer.lora import file
from lib_trainer.workbench import merge, resize
from lib_trainer.workbench.merge import MergeOrder
from lib_trainer.workbench.operation import finish
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.resize import ResizeOrder
from lib_trainer.workbench.sources import Source
from tests.workbench.algebra import RECORD, plain, written


@pytest.mark.parametrize("what", ["lies", "vanishes", "is replaced"])
def test_the_hash_is_that_of_what_was_read(tmp_path: Path, what: str) -> None:
    path, out = tmp_path / "a.safetensors", tmp_path / "sum.safetensors"
    file.save(path, plain(2), RECORD | {"sshs_model_hash": "0" * 64})
    true = file.tensor_hash(path)
    operation = merge.run(MergeOrder((Source(path),), out, device="cpu"))
    while next(operation).what != "Adding up":  # all sources are read by then
        pass
    if what != "lies":
        path.unlink()
    if what == "is replaced":
        written(path, plain(2, seed=1))
        assert file.tensor_hash(path) != true
    finish(operation)
    assert json.loads(file.load(out).metadata["workbench.sources"])[0]["model_hash"] == true


def test_a_resize_believes_no_hash_either(tmp_path: Path) -> None:
    path, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    file.save(path, plain(2), RECORD | {"sshs_model_hash": "0" * 64})
    finish(resize.run(ResizeOrder(path, out, Reduction("svd", 1), device="cpu")))
    assert file.load(out).metadata["workbench.source_hash"] == file.tensor_hash(path)
