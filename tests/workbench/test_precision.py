"""Numbers in another precision: rounded once, strengths kept, what does not fit refused with the tensor's name."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora import file
from lib_trainer.workbench import convert, names, precision
from lib_trainer.workbench.convert import ConvertOrder
from lib_trainer.workbench.operation import Outcome, finish
from lib_trainer.workbench.precision import PrecisionOrder
from lib_trainer.workbench.rounding import PRECISIONS
from tests.workbench import stored
from tests.workbench.stored import TEXT, Q


def rounded(source: Path, word: str) -> Outcome:
    return finish(precision.run(PrecisionOrder(source, source.with_name(f"{word}.safetensors"), word)))


@pytest.mark.parametrize("word", PRECISIONS)
def test_every_number_is_rounded_once_and_the_hash_is_right(tmp_path: Path, word: str) -> None:
    tensors = stored.small(dtype=torch.float32, rank=2) | {"bundle_emb.x.y": torch.ones(2), "whole": torch.tensor([3])}
    outcome = rounded(stored.write(tmp_path / "x.safetensors", tensors), word)
    expected = {name: tensor if name == "whole" else tensor.to(PRECISIONS[word]) for name, tensor in tensors.items()}
    assert stored.same(load_file(tmp_path / f"{word}.safetensors"), expected)
    assert file.inspect(tmp_path / f"{word}.safetensors")["hash_matches"]
    # half a unit in the last place: 2^-11 of fp16, 2^-8 of bf16
    assert outcome.facts["rounding_error"] <= {"fp32": 0, "fp16": 2 ** -11, "bf16": 2 ** -8}[word]
    assert outcome.facts["changed"] == (0 if word == "fp32" else 7) and bool(outcome.notes) == (word == "fp32")


def test_a_strength_that_the_precision_does_not_hold_keeps_its_own(tmp_path: Path) -> None:
    tensors = stored.small(dtype=torch.float32) | {f"{Q}.alpha": torch.tensor(0.3), f"{TEXT}.alpha": torch.tensor(0.5)}
    rounded(stored.write(tmp_path / "x.safetensors", tensors), "bf16")
    found = load_file(tmp_path / "bf16.safetensors")
    assert found[f"{Q}.alpha"].dtype == torch.float32 and found[f"{TEXT}.alpha"].dtype == torch.bfloat16


def test_numbers_that_are_too_great_are_told_with_their_tensors(tmp_path: Path) -> None:
    tensors = stored.small(dtype=torch.float32)
    for layer in (Q, TEXT):
        tensors[f"{layer}.lora_up.weight"][0, 0] = 70000.0
    source = stored.write(tmp_path / "x.safetensors", tensors)
    with pytest.raises(Problems) as raised:
        rounded(source, "fp16")
    assert [line.split(" ")[0] for line in raised.value.problems[1:]] == [
        f"{layer}.lora_up.weight" for layer in sorted((Q, TEXT))]
    assert "70000" in raised.value.problems[1] and not (tmp_path / "fp16.safetensors").exists()
    assert rounded(source, "bf16").file is not None
    with pytest.raises(UserError, match="no precision 'fp8'"):
        rounded(source, "fp8")


def test_numbers_that_vanish_are_counted(tmp_path: Path) -> None:
    tensors = stored.small(dtype=torch.float32)
    tensors[f"{Q}.lora_up.weight"][0, :2] = 1e-9
    outcome = rounded(stored.write(tmp_path / "x.safetensors", tensors), "fp16")
    assert outcome.facts["vanished"] == 2 and outcome.notes == [
        "2 numbers are too small for fp16 and became 0."]


def test_names_and_precision_in_one_go(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", stored.small(dtype=torch.float32, alpha=0.75))
    finish(convert.run(ConvertOrder(source, tmp_path / "y.safetensors", names.PEFT, precision="bf16")))
    assert {tensor.dtype for tensor in load_file(tmp_path / "y.safetensors").values()} == {torch.bfloat16}
    outcome = finish(convert.run(ConvertOrder(source, tmp_path / "z.safetensors", precision="fp16")))
    assert outcome.facts["changed"] == 6 and load_file(tmp_path / "z.safetensors").keys() == load_file(source).keys()
    tensors = {name: tensor if "alpha" in name else 10 * tensor
               for name, tensor in stored.small([Q], dtype=torch.float32, alpha=60000.0).items()}
    strong = stored.write(tmp_path / "strong.safetensors", tensors)
    with pytest.raises(UserError, match="too great for fp16 once"):
        finish(convert.run(ConvertOrder(strong, tmp_path / "s.safetensors", names.PEFT, precision="fp16")))
    with pytest.raises(UserError, match="Nothing is to be converted"):
        finish(convert.run(ConvertOrder(source, tmp_path / "s.safetensors")))
