"""Norms of blocks: equal to those of the whole weight deltas, named where approximate, kept until the file changes."""
from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.host_model import Target
from lib_trainer.lora import delta_norms, keys
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.changes import own_weight
from lib_trainer.lora.norms import BlockNorms, NormsCache, block_norms
from lib_trainer.lora.tensor_reader import TensorReader
from tests.lora import kinds

LAYER = "lora_unet_down_blocks_0_attentions_0_proj_in"
"""In IN01."""


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def lora() -> tuple[dict[str, Tensor], Tensor]:
    parts = {keys.DOWN: random(4, 20), keys.UP: random(12, 4), keys.ALPHA: torch.tensor(2.0)}
    return parts, parts[keys.UP] @ parts[keys.DOWN] * 0.5


NEED_THE_BASE = ("dora", "oft", "boft", "glora", "ia3")
CASES = [pytest.param(kind, target, id=f"{kind}-{target.name.split('_', 2)[2]}") for kind, target in kinds.cases()]


@pytest.mark.parametrize(("kind", "target"), CASES)
def test_the_norm_is_that_of_the_whole_change(kind: str, target: Target) -> None:
    parts = kinds.draw(kind, target, 3)
    change = registry.change(target.name, layer_parts.read(parts), own_weight(target))
    wanted = math.hypot(*(float(one.norm()) for one in (change.weight, change.bias) if one is not None))
    measured = delta_norms.measure(parts)
    assert measured is not None
    assert measured.exact == (not any(part in kind for part in NEED_THE_BASE))
    if measured.exact:  # float32 sums in another order
        assert math.sqrt(measured.squared) == pytest.approx(wanted, rel=1e-4)


def test_kinds_that_need_the_base_weight_are_called_approximations() -> None:
    parts, delta = lora()
    decomposed = delta_norms.measure({**parts, "dora_scale": random(12, 1)})
    assert decomposed is not None and not decomposed.exact
    assert math.sqrt(decomposed.squared) == pytest.approx(float(delta.norm()), rel=1e-4)
    half_turn = delta_norms.measure({"oft_blocks": torch.tensor([[[0.0, 0.5], [-0.5, 0.0]]])})  # R is a quarter turn
    assert half_turn is not None and not half_turn.exact and half_turn.squared == pytest.approx(4.0, rel=1e-5)
    both = {"a1.weight": random(8, 2), "a2.weight": random(2, 8), "b1.weight": random(6, 2), "b2.weight": random(2, 8)}
    glora = delta_norms.measure(both)
    wanted = float((both["a1.weight"] @ both["a2.weight"]).norm()) ** 2 + float(
        (both["b1.weight"] @ both["b2.weight"]).norm()) ** 2
    assert glora is not None and not glora.exact and glora.squared == pytest.approx(wanted, rel=1e-4)
    ia3 = delta_norms.measure({"weight": torch.tensor([3.0, 4.0]), "on_input": torch.tensor(True)})
    assert ia3 is not None and not ia3.exact and ia3.squared == 25.0


@pytest.mark.parametrize("parts", [
    {"strange": torch.ones(2)}, {keys.ALPHA: torch.tensor(1.0)}, {keys.DOWN: torch.ones(2, 3)},
    {keys.DOWN: torch.ones(2, 3), keys.UP: torch.ones(4, 5)},
])
def test_what_is_not_known_is_not_measured(parts: dict[str, Tensor]) -> None:
    assert delta_norms.measure(parts) is None


def write(path: Path, scale: float = 1.0) -> float:
    """Writes a file with two layers in IN01, one in no block and one that is damaged; returns IN01's norm."""
    parts, delta = lora()
    tensors = {f"{LAYER}.{part}": tensor for part, tensor in parts.items()}
    tensors |= {f"lora_unet_down_blocks_0_resnets_0_conv1.{part}": tensor for part, tensor in parts.items()}
    tensors |= {"lora_unet_conv_out.diff": torch.ones(2, 2), "lora_unet_mid_block_resnets_0_conv1.diff":
                torch.full((2, 2), torch.nan)}
    save_file({name: (tensor * scale).half() if name.endswith("up.weight") else tensor.clone()
               for name, tensor in tensors.items()}, path)
    return math.sqrt(2) * float(delta.norm()) * scale


def test_layers_are_summed_by_block(tmp_path: Path) -> None:
    wanted = write(tmp_path / "a.safetensors")
    found = block_norms(tmp_path / "a.safetensors", "sd15")
    # half precision keeps three digits
    assert found.norms == {"IN01": pytest.approx(wanted, rel=2e-3), "": 2.0}
    assert (found.approximate, found.unknown) == (0, 1)


def test_an_answer_is_kept_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = tmp_path / "a.safetensors", tmp_path / "cache"
    write(path)
    first = NormsCache(cache).of(path, "sd15")
    [stored] = (cache / "block-norms").iterdir()
    told = json.loads(stored.read_text(encoding="utf8"))
    assert told["file"] == str(path) and BlockNorms(**told["answer"]) == first

    opened: list[Path] = []
    whole = TensorReader.__init__
    monkeypatch.setattr(TensorReader, "__init__", lambda self, path: (opened.append(path), whole(self, path))[1])
    again = NormsCache(cache)
    assert again.of(path, "sd15") == first and again.of(path, "sd15") == first and opened == []

    write(path, 2.0)
    os.utime(path, ns=(0, 0))  # a disk's clock may be too coarse to tell two writes apart
    assert again.of(path, "sd15").norms["IN01"] == pytest.approx(2 * first.norms["IN01"], rel=2e-3)
    assert opened == [path]


def test_a_damaged_answer_and_an_unwritable_folder_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path)
    first = NormsCache(tmp_path).of(path, "sd15")
    [stored] = (tmp_path / "block-norms").iterdir()
    for text in ("", "{}", '{"stamp": 1', "[]"):
        stored.write_text(text, encoding="utf8")
        assert NormsCache(tmp_path).of(path, "sd15") == first
    (tmp_path / "file").write_bytes(b"")
    assert NormsCache(tmp_path / "file").of(path, "sd15") == first


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors"):
        NormsCache(tmp_path).of(tmp_path / "none.safetensors", "sd15")


def test_tensors_are_read_as_stored(tmp_path: Path) -> None:
    tensors = {"a.x": random(2, 3), "a.y": random(4).half(), "b.z": random(2, 2).to(torch.bfloat16),
               "c.w": torch.tensor(3), "c.none": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "a.safetensors", {"k": "v"})
    with TensorReader(tmp_path / "a.safetensors") as reader:
        assert reader.metadata == {"k": "v"} and set(reader.names) == set(tensors)
        for name, tensor in tensors.items():
            assert reader.read(name).dtype == tensor.dtype and torch.equal(reader.read(name), tensor)
