"""LoRAs out of two checkpoints: a known change is found again, and what a LoRA cannot hold is told."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_trainer.errors import UserError
from lib_trainer.lora import file
from lib_trainer.workbench import extract, into_checkpoint
from lib_trainer.workbench.extract import ExtractOrder
from lib_trainer.workbench.into_checkpoint import IntoCheckpointOrder
from lib_trainer.workbench.operation import Outcome, finish
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.sources import Source
from tests import tiny_checkpoint, tiny_families
from tests.hosts import lora_kinds

RANK = lora_kinds.RANK
FULL = Reduction("svd", RANK, RANK)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.write(tmp_path_factory.mktemp("models"), "base.safetensors", dtype=torch.float32)


@pytest.fixture(scope="module")
def known(base: Path) -> Path:
    """A LoRA with convolutions of rank 4 on every layer."""
    path = base.parent / "known.safetensors"
    save_file(lora_kinds.state("locon", base), path)
    return path


@pytest.fixture(scope="module")
def tuned(base: Path, known: Path) -> Path:
    return merged(base, known, "tuned.safetensors")


def merged(base: Path, lora: Path, name: str, **more: Any) -> Path:
    out = base.parent / name
    finish(into_checkpoint.run(IntoCheckpointOrder(base, (Source(lora),), out, **more)))
    return out


def extracted(base: Path, tuned: Path, out: Path, reduction: Reduction = FULL, **more: Any) -> Outcome:
    return finish(extract.run(ExtractOrder(base, tuned, out, reduction, **{"precision": "fp32", **more})))


def delta(tensors: dict[str, torch.Tensor], layer: str) -> torch.Tensor:
    up, down = (tensors[f"{layer}.lora_{side}.weight"].double().flatten(1) for side in ("up", "down"))
    return up @ down * (float(tensors[f"{layer}.alpha"]) / down.shape[0])


def layers_of(tensors: dict[str, torch.Tensor]) -> set[str]:
    return {name.split(".", 1)[0] for name in tensors}


def test_a_known_change_is_found_again(base: Path, tuned: Path, known: Path, tmp_path: Path) -> None:
    outcome = extracted(base, tuned, tmp_path / "x.safetensors")
    made, wanted = load_file(tmp_path / "x.safetensors"), load_file(known)
    assert layers_of(made) == layers_of(wanted)
    for layer in layers_of(wanted):
        # The tuned checkpoint's float32 keeps 24 bits of weights some times greater than the change.
        error = (delta(made, layer) - delta(wanted, layer)).norm() / delta(wanted, layer).norm()
        assert error < 1e-5, layer
    assert outcome.facts["retained"] > 1 - 1e-9 and outcome.facts["rank"] == str(RANK) and not outcome.notes
    assert {row["block"] for row in outcome.rows} >= {"BASE", "IN01", "M00", "OUT11"}
    record = file.inspect(tmp_path / "x.safetensors")
    assert record["family"] == "sd1" and record["hash_matches"] and record["algorithm"] == "locon"
    facts = record["metadata"]
    assert (facts["ss_network_dim"], facts["ss_network_module"]) == (str(RANK), "networks.lora")
    assert facts["workbench.base"] == "base" and facts["workbench.tuned"] == "tuned"


def test_a_lower_rank_says_what_it_keeps(base: Path, tuned: Path, known: Path, tmp_path: Path) -> None:
    outcome = extracted(base, tuned, tmp_path / "x.safetensors", Reduction("svd", 1))
    made, wanted = load_file(tmp_path / "x.safetensors"), load_file(known)
    kernels = {layer for layer in layers_of(wanted) if layer not in layers_of(made)}
    assert kernels and all("resnets" in layer or "samplers" in layer for layer in kernels)
    assert any("other tensors, such as" in note for note in outcome.notes)  # the kernels' own
    kept = sum(float(delta(made, layer).square().sum()) for layer in layers_of(made))
    total = sum(float(delta(wanted, layer).square().sum()) for layer in layers_of(made))
    assert outcome.facts["retained"] == pytest.approx(kept / total, rel=1e-4)
    assert max(tensor.abs().max() for tensor in made.values()) < 100  # nothing clipped, nothing blown up
    dynamic = extracted(base, tuned, tmp_path / "d.safetensors", Reduction("svd", dynamic="frobenius", threshold=0.9))
    assert all(row["retained"] >= 0.81 for row in dynamic.rows)


@pytest.mark.parametrize("kind", ["sd2", "sdxl"])
def test_openclips_thirds(kind: str, tmp_path: Path) -> None:
    """Each third of query, key and value is a layer of its own; a small change of the other encoder is left out."""
    base, tuned, out = tiny_families.write(tmp_path, kind), tmp_path / "tuned.ckpt", tmp_path / "x.safetensors"
    tensors = load_file(base)
    root = "conditioner.embedders.1.model." if kind == "sdxl" else "cond_stage_model.model."
    fused, width = f"{root}transformer.resblocks.1.attn.in_proj_weight", tiny_families.TEXT_WIDTH
    tensors[fused] = tensors[fused].float()
    tensors[fused][width:2 * width] += 0.5
    other = "conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
    if kind == "sdxl":
        tensors[other] = tensors[other] + 0.004
    torch.save(tensors, tuned)
    outcome = extracted(base, tuned, out, Reduction("svd", 1))
    prefix = "lora_te2" if kind == "sdxl" else "lora_te"
    assert layers_of(load_file(out)) == {f"{prefix}_text_model_encoder_layers_1_self_attn_k_proj"}
    assert any("Text encoder 1 differs by 0.00" in note for note in outcome.notes) == (kind == "sdxl")
    assert file.inspect(out)["family"] == kind


def test_the_rounding_of_a_precision_is_no_difference(base: Path, known: Path, tmp_path: Path) -> None:
    halved = tmp_path / "half.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(base).items()}, halved)
    with pytest.raises(UserError, match=r"do not differ in any layer.*nothing was written"):
        extracted(base, halved, tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_what_a_lora_cannot_hold_is_told(base: Path, tmp_path: Path) -> None:
    tensors = load_file(base)
    tensors["first_stage_model.decoder.conv_in.bias"] += 1
    save_file(tensors, tmp_path / "vae.safetensors")
    with pytest.raises(UserError, match=r"in 1 other tensors, such as 'first_stage_model.decoder.conv_in.bias'"):
        extracted(base, tmp_path / "vae.safetensors", tmp_path / "x.safetensors")


def _other_family(base: Path, folder: Path) -> dict[str, Any]:
    return {"tuned": tiny_families.write(folder, "sd2")}


def _other_size(base: Path, folder: Path) -> dict[str, Any]:
    tensors = load_file(base)
    name = "model.diffusion_model.input_blocks.1.1.proj_in.weight"
    tensors[name] = torch.ones(3, 3, 1, 1)
    save_file(tensors, folder / "odd.safetensors")
    return {"tuned": folder / "odd.safetensors"}


def _no_numbers(base: Path, folder: Path) -> dict[str, Any]:
    tensors = load_file(base)
    tensors["cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "nan.safetensors")
    return {"tuned": folder / "nan.safetensors"}


def _everything(base: Path, folder: Path) -> dict[str, Any]:
    return {"tuned": base, "reduction": Reduction(), "precision": "fp4", "out": folder / "x.ckpt"}


@pytest.mark.parametrize(("case", "sentence"), [
    (_other_family, "is an SD 1.x checkpoint and .* an SD 2.x one"),
    (_other_size, "different kinds of model"),
    (_no_numbers, "mlp_fc1' has entries in one of the checkpoints that are infinite or no numbers"),
    (_everything, r"with a rank(.|\n)*'fp4'(.|\n)*end with .safetensors"),
])
def test_faults_are_sentences(
    base: Path, tmp_path: Path, case: Callable[[Path, Path], dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        extracted(**{"base": base, "out": tmp_path / "x.safetensors", **case(base, tmp_path)})
    assert not any(path.name.startswith((".x", "x")) for path in tmp_path.iterdir())


def test_what_a_precision_cannot_hold_is_told(base: Path, tmp_path: Path) -> None:
    """Factors have the root of a difference: of 1e-18 that is 1e-9, where fp16 ends at 6e-8."""
    name, one, other = "model.diffusion_model.middle_block.1.proj_in.weight", load_file(base), load_file(base)
    one[name] = torch.zeros_like(one[name])
    other[name] = torch.full_like(one[name], 1e-18)
    for path, tensors in ((tmp_path / "a.safetensors", one), (tmp_path / "b.safetensors", other)):
        save_file(tensors, path)
    for precision, lost in (("fp16", True), ("bf16", False)):
        out = tmp_path / f"{precision}.safetensors"
        outcome = extracted(tmp_path / "a.safetensors", tmp_path / "b.safetensors", out, Reduction("svd", 1),
                            precision=precision)
        assert any("1 of 1 layers lost what they do by it" in note for note in outcome.notes) == lost
        assert outcome.facts["retained"] == pytest.approx(0.0 if lost else 1.0)
