"""Files in pieces: byte for byte the tensor area that the safetensors package writes, and hashes of the same."""
from __future__ import annotations

import hashlib

import pytest
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from lib_trainer.lora import file, layout, metadata

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16,
          torch.int8, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2)


def drawn(rows: int) -> dict[str, Tensor]:
    """Returns tensors of every dtype, whose names are not in the order of their bytes."""
    generator = torch.Generator().manual_seed(rows)
    found = {f"z{number}": torch.randn(rows, 2, generator=generator).to(dtype) for number, dtype in enumerate(DTYPES)}
    found |= {f"a{number}": torch.tensor(1.0).to(dtype) for number, dtype in enumerate(DTYPES)}
    return found | {"ä": torch.zeros(0, 3)}


def area(content: bytes) -> bytes:
    return content[8 + int.from_bytes(content[:8], "little"):]


@pytest.mark.parametrize("told", [{}, {"ss_b": "ö", "a": "1"}])
def test_the_tensors_lie_where_the_package_puts_them(told: dict[str, str]) -> None:
    tensors = drawn(3)
    content = file.serialise(tensors, told)
    assert area(content) == area(to_bytes(tensors, told)) and len(content) == layout.size(tensors, told)


def test_the_hashes_are_those_of_the_whole_file() -> None:
    """One of more than 1 MiB, where the legacy hash begins, in the midst of a tensor, or with a border in it."""
    told = {"ss_x": "1", "modelspec.title": "not counted"}
    for tensors in (drawn(3), drawn(50_000), {"a": torch.ones(0x100000 // 4), "b": torch.arange(30_000)}):
        content = file.serialise(tensors, {"ss_x": "1"})
        assert metadata.hashes(tensors, told) == {
            "sshs_model_hash": hashlib.sha256(area(content)).hexdigest(),
            "sshs_legacy_hash": hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]}


def test_what_the_format_cannot_hold_is_told() -> None:
    with pytest.raises(ValueError, match="complex64"):
        file.serialise({"x": torch.zeros(1, dtype=torch.complex64)}, {})
    with pytest.raises(ValueError, match="does not lie in one piece"):
        file.serialise({"x": torch.zeros(2, 3).T}, {})
