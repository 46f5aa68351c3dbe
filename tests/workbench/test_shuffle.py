"""Shuffled sums: what an attacker who has a source can read from the file, beside what the sum itself tells.

The sum of a rank 4 and a rank 4 LoRA spans both, so who has one of them can always find it in the span: that is in the
product and no way of writing it can hide it. What can be hidden is how the sum was put together. Decoys are LoRAs
drawn at random from the span of the sum, as strong in each direction as the sum is; to the file's factors the true
source must look like one of them.
"""
from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from lib_trainer.lora import file
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.sources import Source
from tests.lora.models import KERNEL, TEXT
from tests.workbench.algebra import EXACT, merged, plain, written

RANK, SIZE, DECOYS = 4, 32, 199
LAYERS = (TEXT, KERNEL)
UP, DOWN = "lora_up.weight", "lora_down.weight"


def source(seed: int) -> dict[str, Tensor]:
    """Returns a LoRA that is easily known again: half of its up's rows are zeros."""
    found = plain(RANK, 2.0, seed, LAYERS, SIZE, SIZE)
    for layer in LAYERS:
        found[f"{layer}.{UP}"][: SIZE // 2] = 0
    return found


def files(folder: Path) -> tuple[Source, Source]:
    return (Source(written(folder / "first.safetensors", source(1), **{"modelspec.title": "Secret"}), 0.7),
            Source(written(folder / "second.safetensors", plain(RANK, 2.0, 2, LAYERS, SIZE, SIZE)), -1.3))


def matrix(tensors: dict[str, Tensor], layer: str, part: str) -> Tensor:
    return tensors[f"{layer}.{part}"].double().flatten(1)


def product(tensors: dict[str, Tensor], layer: str) -> Tensor:
    down = matrix(tensors, layer, DOWN)
    return matrix(tensors, layer, UP) @ down * (float(tensors[f"{layer}.alpha"]) / down.shape[0])


def likeness(own: Tensor, others: Tensor) -> float:
    """Returns the greatest cosine between a column of one and a column of the other."""
    return float((own / own.norm(dim=0)).T.mul(1).mm(others / others.norm(dim=0)).abs().max())


def sparsity(own: Tensor, others: Tensor) -> float:
    """Returns how much one column of `own` alone explains a column of `others`, by least squares: 1 = wholly."""
    weights = torch.linalg.lstsq(own * (1 / own.norm(dim=0)), others).solution
    return float((weights.abs().amax(0) / weights.norm(dim=0)).max())


def test_the_sum_is_exact_and_has_the_rank_of_the_product(tmp_path: Path) -> None:
    sources = files(tmp_path)
    shuffled, _ = merged(tmp_path / "s.safetensors", *sources, shuffle=True)
    plainly, _ = merged(tmp_path / "p.safetensors", *sources)
    for layer in LAYERS:
        true = product(plainly, layer)
        assert (product(shuffled, layer) - true).norm() < EXACT * true.norm()
        assert shuffled[f"{layer}.alpha"] == 2 * RANK == shuffled[f"{layer}.{DOWN}"].shape[0]


def test_the_file_depends_on_the_sum_alone(tmp_path: Path) -> None:
    """Two wholly different pairs of LoRAs with the same sum give the same file."""
    sources = files(tmp_path)
    shuffled, _ = merged(tmp_path / "s.safetensors", *sources, shuffle=True)
    plainly, _ = merged(tmp_path / "p.safetensors", *sources)
    others: list[dict[str, Tensor]] = [{}, {}]
    mixing = torch.randn(2 * RANK, 2 * RANK, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for layer in LAYERS:
        up = matrix(plainly, layer, UP) @ mixing
        down = torch.linalg.solve(mixing, matrix(plainly, layer, DOWN))
        for half, other in enumerate(others):
            part, kernel = slice(half * RANK, (half + 1) * RANK), plainly[f"{layer}.{DOWN}"].shape[1:]
            other[f"{layer}.{UP}"] = up[:, part].reshape(SIZE, RANK, *(1 for _ in kernel[1:])).contiguous()
            other[f"{layer}.{DOWN}"] = down[part].reshape(RANK, *kernel).contiguous()
    again, _ = merged(tmp_path / "again.safetensors", *(
        Source(written(tmp_path / f"{half}.safetensors", {name: tensor.float() for name, tensor in other.items()}))
        for half, other in enumerate(others)), shuffle=True)
    # the second pair was itself rounded to single precision: a millionth of its size, some tens of the sum's
    assert all((again[name] - tensor).norm() < 1e-4 * tensor.norm() for name, tensor in shuffled.items())


def sides(tensors: dict[str, Tensor], layer: str) -> tuple[Tensor, Tensor]:
    """Returns a layer's factors with the rank's vectors as columns: up, and down transposed."""
    return matrix(tensors, layer, UP), matrix(tensors, layer, DOWN).T


def test_the_source_looks_like_any_lora_in_the_span(tmp_path: Path) -> None:
    sources, own = files(tmp_path), source(1)
    shuffled, _ = merged(tmp_path / "s.safetensors", *sources, shuffle=True)
    plainly, _ = merged(tmp_path / "p.safetensors", *sources)
    generator = torch.Generator().manual_seed(5)
    for layer in LAYERS:
        change = product(shuffled, layer)
        for whole, theirs, true, side_by_side in zip((change, change.T), sides(shuffled, layer), sides(own, layer),
                                                     sides(plainly, layer), strict=True):
            decoys = [whole @ torch.randn(whole.shape[1], RANK, generator=generator, dtype=torch.float64)
                      for _ in range(DECOYS)]
            permuted = side_by_side[:, torch.randperm(2 * RANK, generator=generator)]
            for attack in (likeness, sparsity):
                assert attack(permuted, true) > 0.999  # the attack works: permuting the ranks hides nothing
                assert attack(theirs, true) <= max(attack(theirs, decoy) for decoy in decoys)


def test_no_row_column_length_or_zero_of_a_source_is_in_the_file(tmp_path: Path) -> None:
    shuffled, _ = merged(tmp_path / "s.safetensors", *files(tmp_path), shuffle=True)
    own = source(1)
    for layer in LAYERS:
        up, down = matrix(shuffled, layer, UP), matrix(shuffled, layer, DOWN)
        assert likeness(up, matrix(own, layer, UP)) < 0.99 and likeness(down.T, matrix(own, layer, DOWN).T) < 0.99
        assert not bool((up[SIZE // 2:] == 0).any())
        lengths = (up.norm(dim=0), down.norm(dim=1))
        # balanced and turned: the two sides' Gram matrices are one and the same, so neither tells of a source's scale
        assert torch.allclose(up.T @ up, down @ down.T, atol=1e-5 * float(lengths[0].max()) ** 2)


def test_the_record_tells_nothing_of_the_sources(tmp_path: Path) -> None:
    sources = files(tmp_path)
    merged(tmp_path / "s.safetensors", *sources, shuffle=True, reduction=Reduction("svd", 3))
    record = file.load(tmp_path / "s.safetensors").metadata
    text = json.dumps(record)
    for secret in ("first", "second", "Secret", "base.safetensors", "0.7", "-1.3",
                   *(file.tensor_hash(one.path) for one in sources)):
        assert secret not in text
    assert record["ss_base_model_version"] == "sd_v1" and record["ss_network_dim"] == "3"
    assert record["modelspec.architecture"] == "stable-diffusion-v1/lora" and record["modelspec.title"] == "s"
    assert file.inspect(tmp_path / "s.safetensors")["hash_matches"] is True


def test_seeds_and_what_cannot_be_hidden(tmp_path: Path) -> None:
    sources = files(tmp_path)
    made = [merged(tmp_path / f"{number}.safetensors", *sources, shuffle=True, seed=seed)[0]
            for number, seed in enumerate((5, 5, 6))]
    name = f"{TEXT}.{UP}"
    assert torch.equal(made[0][name], made[1][name]) and not torch.allclose(made[0][name], made[2][name], atol=0.01)
    bundled = written(tmp_path / "e.safetensors", source(1) | {"bundle_emb.eyes.string_to_param.*": torch.ones(2)})
    tensors, outcome = merged(tmp_path / "one.safetensors", Source(bundled), shuffle=True)
    assert not any(name.startswith("bundle_emb") for name in tensors)
    assert any("embeddings are left out" in note for note in outcome.notes)
    assert any("one source only" in note for note in outcome.notes)
