"""Sums of LoRAs of all kinds against double precision, and what is refused."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora import file
from lib_trainer.workbench import merge
from lib_trainer.workbench.decomposition import of_factors
from lib_trainer.workbench.merge import MergeOrder
from lib_trainer.workbench.operation import Cancelled, finish
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.sources import Source
from tests.lora import kinds
from tests.lora.models import ATTENTION, KERNEL, PROJECTION, TEXT
from tests.workbench import algebra
from tests.workbench.algebra import EXACT, drawn, error, merged, plain, summed, written

ALL_KINDS = (*kinds.KINDS, *kinds.OF_KERNELS, "norm")
strengths = st.floats(-3, 3, allow_nan=False).filter(lambda value: abs(value) > 1e-3)
"""Below a thousandth the small term drowns in what is compared."""

several = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return algebra.base_file(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_sum_with_any_kind_is_exact(tmp_path: Path, base: Path, kind: str) -> None:
    one, other = drawn(kind), plain(2, 3.0, 9)
    tensors, outcome = merged(
        tmp_path / "sum.safetensors", Source(written(tmp_path / "a.safetensors", one), 0.7),
        Source(written(tmp_path / "b.safetensors", other), -1.3), base=base)
    assert error(tensors, summed((0.7, one), (-1.3, other))) < EXACT
    assert file.inspect(tmp_path / "sum.safetensors")["hash_matches"] is True
    assert outcome.facts["retained"] == 1.0


@several
@given(st.integers(1, 4), st.integers(1, 4), st.floats(0.25, 8), strengths, strengths)
def test_ranks_add_up_and_the_strength_is_right(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int, alpha: float, one: float, other: float
) -> None:
    folder = tmp_path_factory.mktemp("sum")
    a, b = (plain(rank, alpha, rank, [TEXT, KERNEL], 32, 32) for rank in (first, second + 4))
    tensors, _ = merged(folder / "sum.safetensors", Source(written(folder / "a.safetensors", a), one),
                        Source(written(folder / "b.safetensors", b), other))
    for layer in (TEXT, KERNEL):
        assert tensors[f"{layer}.lora_down.weight"].shape[0] == first + second + 4 == tensors[f"{layer}.alpha"]
        found = _product(tensors, layer)
        true = one * _product(a, layer) + other * _product(b, layer)
        assert (found - true).norm() < EXACT * (abs(one) * _product(a, layer).norm()
                                                + abs(other) * _product(b, layer).norm())


def _product(tensors: dict[str, torch.Tensor], layer: str) -> torch.Tensor:
    up, down = (tensors[f"{layer}.lora_{side}.weight"].double().flatten(1) for side in ("up", "down"))
    return up @ down * (float(tensors[f"{layer}.alpha"]) / down.shape[0])


@several
@given(st.integers(1, 4), st.integers(1, 4), strengths)
def test_what_is_added_and_taken_away_again_leaves_the_first(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int, strength: float
) -> None:
    folder = tmp_path_factory.mktemp("sum")
    a = Source(written(folder / "a.safetensors", plain(first, 2.0, 1)))
    b = written(folder / "b.safetensors", plain(second, 3.0, 2))
    merged(folder / "ab.safetensors", a, Source(b, strength))
    back, _ = merged(folder / "back.safetensors", Source(folder / "ab.safetensors"), Source(b, -strength))
    assert error(back, summed((1.0, plain(first, 2.0, 1)))) < EXACT * (1 + abs(strength)) * 2


@pytest.mark.parametrize("kind", [
    kind for kind in ALL_KINDS if kind.startswith(("loha", "lokr")) and "dora" not in kind])
@pytest.mark.parametrize("strength", [0.7, -1.0])
def test_a_layer_of_one_lora_alone_keeps_its_kind(tmp_path: Path, kind: str, strength: float) -> None:
    one, beside = drawn(kind), plain(2, 3.0, 9, [ATTENTION])
    alone = {name: tensor for name, tensor in one.items() if not name.startswith(ATTENTION)}
    tensors, outcome = merged(
        tmp_path / "s.safetensors", Source(written(tmp_path / "a.safetensors", alone), strength),
        Source(written(tmp_path / "b.safetensors", beside)))
    assert error(tensors, summed((strength, alone), (1.0, beside))) < EXACT
    assert {name: tensor.shape for name, tensor in tensors.items() if not name.startswith(ATTENTION)} == {
        name: tensor.shape for name, tensor in alone.items()}
    assert f"of the kind {kind[:4]} as they were" in outcome.facts["summary"]
    tensors, _ = merged(tmp_path / "only.safetensors", Source(tmp_path / "a.safetensors", strength), precision="fp32")
    arguments = json.loads(file.load(tmp_path / "only.safetensors").metadata["ss_network_args"])
    assert arguments["algo"] == kind[:4] and file.inspect(tmp_path / "only.safetensors")["algorithm"] == kind[:4]


def test_what_is_taken_from_itself_is_nothing(tmp_path: Path) -> None:
    """The same file, other factors of the same change, and a layer that stays beside one that goes."""
    one = plain(4, 4.0, 1, [TEXT, KERNEL], 32, 32)
    mixing = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    other = {name: tensor.double() for name, tensor in one.items()}
    for layer in (TEXT, KERNEL):
        up, down = f"{layer}.lora_up.weight", f"{layer}.lora_down.weight"
        other[up] = (other[up].flatten(1) @ mixing).reshape(other[up].shape)
        other[down] = torch.linalg.solve(mixing, other[down].flatten(1)).reshape(other[down].shape)
    a, b = written(tmp_path / "a.safetensors", one), written(tmp_path / "b.safetensors", one | {
        f"{KERNEL}.{part}": one[f"{KERNEL}.{part}"] * 2 for part in ("lora_up.weight",)})
    ways: list[dict[str, Any]] = [{}, {"shuffle": True}, {"reduction": Reduction("svd", 4)}]
    for more in ways:
        with pytest.raises(UserError, match="take each other away: in all 2 layers"):
            merged(tmp_path / "none.safetensors", Source(a), Source(a, -1.0), **more)
    for number, more in enumerate(ways[1:]):
        tensors, outcome = merged(tmp_path / f"{number}.safetensors", Source(b), Source(a, -1.0), **more)
        assert {name.split(".")[0] for name in tensors} == {KERNEL}
        assert any(f"1 layers in which the LoRAs take each other away are left out, such as '{TEXT}'" in note
                   for note in outcome.notes)
        true = _product(one, KERNEL)
        assert (_product(tensors, KERNEL) - true).norm() < EXACT * true.norm()
    doubles = of_factors(torch.cat((one[f"{TEXT}.lora_up.weight"].double(), -other[f"{TEXT}.lora_up.weight"]), 1),
                         torch.cat((one[f"{TEXT}.lora_down.weight"].double(), other[f"{TEXT}.lora_down.weight"])))
    assert not doubles.values.any()


def test_a_difference_of_two_that_are_nearly_alike_loses_nothing(tmp_path: Path) -> None:
    """Two copiers differ in little: what is stored side by side has their very bits, so the little is exact."""
    a = plain(4, 4.0, 1, [TEXT, KERNEL], 32, 32)
    b = {name: tensor if name.endswith("alpha") else tensor + 1e-5 * torch.randn_like(tensor)
         for name, tensor in a.items()}
    tensors, _ = merged(tmp_path / "d.safetensors", Source(written(tmp_path / "a.safetensors", a)),
                        Source(written(tmp_path / "b.safetensors", b), -1.0))
    for layer in (TEXT, KERNEL):
        up, down = f"{layer}.lora_up.weight", f"{layer}.lora_down.weight"
        assert torch.equal(tensors[up], torch.cat((a[up], -b[up]), 1)) and tensors[f"{layer}.alpha"] == 8
        assert torch.equal(tensors[down], torch.cat((a[down], b[down])))


def test_layers_of_only_one_source_and_1x1_convolutions_and_other_names(tmp_path: Path) -> None:
    one, other = plain(2, 1.0, 1, [TEXT, PROJECTION]), plain(3, 2.0, 2, [PROJECTION, KERNEL])
    flat = {name: tensor.flatten(1) if tensor.dim() > 1 else tensor for name, tensor in one.items()}
    lycoris = {name.replace("lora_unet", "lycoris_unet"): tensor for name, tensor in other.items()}
    tensors, outcome = merged(tmp_path / "s.safetensors", Source(written(tmp_path / "a.safetensors", flat)),
                              Source(written(tmp_path / "b.safetensors", lycoris), -0.5))
    assert error(tensors, summed((1.0, one), (-0.5, other))) < EXACT
    assert {name.split(".")[0] for name in tensors} == {TEXT, PROJECTION, KERNEL}
    assert tensors[f"{PROJECTION}.diff"].shape == (8, 6, 1, 1)  # rank 5 of 8x6: the difference is smaller
    assert outcome.facts["as_difference"] == 1 and outcome.facts["layers"] == 3


def test_strengths_and_blocks_act_as_in_a_tag(tmp_path: Path) -> None:
    one = plain(2)
    path = written(tmp_path / "a.safetensors", one)
    tensors, outcome = merged(
        tmp_path / "s.safetensors", Source(path, 0.5, te=2.0, weights="0.8:lbw=ALL,IN01@0.25"),
        Source(path, 0.0))
    true = summed((1.0, one))
    for layer, (weight, _) in algebra.changes(tensors).items():
        factor = 2.0 * 0.8 if layer == TEXT else 0.5 * 0.8 * (0.25 if layer in (ATTENTION, PROJECTION, KERNEL) else 1)
        assert (weight - factor * true[layer][0]).norm() < EXACT * weight.norm()
    assert any("every layer is at 0" in note for note in outcome.notes)
    assert [row["block"] for row in outcome.rows][:2] == ["BASE", "IN01"]


def test_svd_keeps_what_is_best(tmp_path: Path) -> None:
    one, other = plain(4, 4.0, 1), plain(4, 4.0, 2)
    tensors, outcome = merged(
        tmp_path / "s.safetensors", Source(written(tmp_path / "a.safetensors", one)),
        Source(written(tmp_path / "b.safetensors", other)), reduction=Reduction("svd", 3, 2))
    true = summed((1.0, one), (1.0, other))
    kept = total = 0.0
    for layer, (weight, _) in algebra.changes(tensors).items():
        rank = 2 if weight.dim() == 4 and weight.shape[2] > 1 else 3
        values = torch.linalg.svdvals(true[layer][0].flatten(1))
        assert tensors[f"{layer}.lora_down.weight"].shape[0] == rank == tensors[f"{layer}.alpha"]
        # Eckart and Young: nothing of the rank is nearer; rounding to single precision is all that may be added
        assert float((weight - true[layer][0]).norm()) <= float(values[rank:].norm()) + EXACT * float(values[0])
        kept, total = kept + float(values[:rank].square().sum()), total + float(values.square().sum())
    assert outcome.facts["retained"] == pytest.approx(kept / total)
    assert {"block", "layers", "ranks", "retained"} == set(outcome.rows[0])
    assert {row["ranks"] for row in outcome.rows} == {"2", "3", "2-3"}


@several
@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([{}, {"dynamic": "cumulative", "threshold": 1.0},
                                                              {"dynamic": "frobenius", "threshold": 1.0}]))
def test_svd_to_the_full_rank_is_the_sum(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int, more: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("sum")
    a, b = plain(first, 1.0, 1), plain(second, 1.0, 2)
    tensors, outcome = merged(
        folder / "s.safetensors", Source(written(folder / "a.safetensors", a)),
        Source(written(folder / "b.safetensors", b)), reduction=Reduction("svd", first + second, **more))
    assert error(tensors, summed((1.0, a), (1.0, b))) < EXACT
    assert outcome.facts["retained"] == pytest.approx(1.0, abs=1e-12)


def test_dense_kinds_are_reduced_too(tmp_path: Path, base: Path) -> None:
    one = drawn("dora_out")
    tensors, outcome = merged(tmp_path / "s.safetensors", Source(written(tmp_path / "a.safetensors", one)),
                              base=base, reduction=Reduction("svd", 8))
    assert error(tensors, summed((1.0, one))) < EXACT and outcome.facts["as_difference"] == 0


def test_lower_precision_is_rounded_once_and_alpha_is_whole(tmp_path: Path) -> None:
    one = plain(2, 2.0, 1, [TEXT])
    path = written(tmp_path / "a.safetensors", one)
    for precision, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        tensors, _ = merged(tmp_path / f"{precision}.safetensors", Source(path), precision=precision)
        assert torch.equal(tensors[f"{TEXT}.lora_up.weight"], one[f"{TEXT}.lora_up.weight"].to(dtype))
        assert tensors[f"{TEXT}.alpha"].dtype == torch.float32
    with pytest.raises(Problems) as raised:
        merged(tmp_path / "big.safetensors", Source(path, 1e10), precision="fp16")
    assert raised.value.problems[0].startswith("The sum has 2 tensors with numbers that are too great for fp16")
    assert [problem.split(" ")[0] for problem in raised.value.problems[1:]] == [
        f"{TEXT}.lora_up.weight", f"{TEXT}.lora_down.weight"]
    assert not (tmp_path / "big.safetensors").exists()
    _, outcome = merged(tmp_path / "little.safetensors", Source(path, 1e-16), precision="fp16")
    assert any("numbers are too small for fp16 and became 0." in note for note in outcome.notes)


def test_the_record(tmp_path: Path) -> None:
    a = written(tmp_path / "a.safetensors", plain(2), **{"modelspec.title": "First"})
    b = written(tmp_path / "b.safetensors", plain(1), ss_sd_model_name="other.safetensors")
    merged(tmp_path / "s.safetensors", Source(a, 0.5), Source(b, -1.0, unet=2.0, weights="1:lbw=ALL"),
           reduction=Reduction("svd", 2, 1))
    record = file.load(tmp_path / "s.safetensors").metadata
    assert record["ss_base_model_version"] == "sd_v1" and record["ss_v2"] == "False"
    assert (record["ss_network_dim"], record["ss_network_alpha"]) == ("2", "2.0")
    assert json.loads(record["ss_network_args"]) == {"conv_dim": "1", "conv_alpha": "1.0"}
    assert record["ss_network_module"] == "networks.lora" and "ss_sd_model_name" not in record
    assert record["modelspec.architecture"] == "stable-diffusion-v1/lora" and record["modelspec.title"] == "s"
    assert record["modelspec.merged_from"] == "First, b" and record["modelspec.prediction_type"] == "epsilon"
    sources = json.loads(record["workbench.sources"])
    assert sources[0] == {"name": "a", "model_hash": file.tensor_hash(a), "te": 0.5, "unet": 0.5}
    assert sources[1]["te"] == -1.0 and sources[1]["unet"] == 2.0 and sources[1]["weights"] == "1:lbw=ALL"
    assert record["workbench.reduction"] == "svd, rank 2, conv_rank 1"


def test_embeddings_travel_and_unknown_kinds_are_told(tmp_path: Path) -> None:
    more = {"bundle_emb.eyes.string_to_param.*": torch.ones(2, 3), "lora_unet_mid_block_x.strange": torch.ones(2)}
    path = written(tmp_path / "a.safetensors", plain(1) | more)
    tensors, outcome = merged(tmp_path / "s.safetensors", Source(path), Source(path))
    assert torch.equal(tensors["bundle_emb.eyes.string_to_param.*"], torch.ones(2, 3))
    assert not any("strange" in name for name in tensors)
    assert sum("are not part of the sum" in note for note in outcome.notes) == 2
    assert sum("name of one of another source" in note for note in outcome.notes) == 1


@pytest.mark.parametrize("kind", ["dora_out", "oft", "glora", "ia3"])
def test_kinds_that_need_the_base_say_so(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match=r"6 layers of 'a.safetensors'.*Name the base checkpoint"):
        merged(tmp_path / "s.safetensors", Source(written(tmp_path / "a.safetensors", drawn(kind))))
    assert not (tmp_path / "s.safetensors").exists()


@pytest.mark.parametrize(("more", "sentence"), [
    ({"sources": ()}, "at least one LoRA"),
    ({"precision": "fp8"}, "'fp8' is none of"),
    ({"reduction": Reduction("svd")}, "rank is not given"),
    ({"family": "flux"}, "'flux' is none of"),
    ({"device": "nothing"}, "'nothing' cannot be used"),
    ({"sources": (Source(Path("a"), float("nan")),)}, "strength of 'a' is nan"),
    ({"sources": (Source(Path("none.safetensors")),)}, "Cannot read the file 'none.safetensors'"),
])
def test_contradictions_are_told(tmp_path: Path, more: dict[str, Any], sentence: str) -> None:
    values = {"sources": (Source(written(tmp_path / "a.safetensors", plain(1))),), **more}
    with pytest.raises(UserError, match=sentence):
        finish(merge.run(MergeOrder(out=tmp_path / "s.safetensors", **values)))
    assert not (tmp_path / "s.safetensors").exists()


def test_what_does_not_go_together_is_told(tmp_path: Path) -> None:
    a, out = written(tmp_path / "a.safetensors", plain(1)), tmp_path / "s.safetensors"
    xl = written(tmp_path / "xl.safetensors", plain(1), ss_base_model_version="sdxl_base_v1-0")
    wide = written(tmp_path / "wide.safetensors", plain(1, names=[TEXT], inputs=9))
    broken = plain(1)
    broken[f"{TEXT}.lora_up.weight"][0, 0] = float("nan")
    nan = written(tmp_path / "nan.safetensors", broken)
    for sources, sentence in (
        ((Source(a), Source(xl)), "different kinds of models.*SD 1.x and 'xl.safetensors' for SDXL"),
        ((Source(a), Source(wide)), "has another size in 'a.safetensors' than in 'wide.safetensors'"),
        ((Source(nan),), "infinite or no numbers"),
        ((Source(a, 0.0),), "every layer would be at 0"),
        ((Source(a, weights="1:lbw=NOSUCH"),), "Unknown block-weight preset 'NOSUCH'[^.]*[.?] Nothing was written"),
    ):
        with pytest.raises(UserError, match=sentence):
            merged(out, *sources)
    with pytest.raises(UserError, match="never overwritten"):
        merged(a, Source(a))
    with pytest.raises(UserError, match=r"end with .safetensors"):
        merged(tmp_path / "s.ckpt", Source(a))
    assert not out.exists()


def test_a_lora_that_does_nothing_adds_nothing(tmp_path: Path) -> None:
    one, none = plain(1, names=[TEXT]), plain(1, 0.0, 5, [TEXT])
    tensors, _ = merged(tmp_path / "s.safetensors", Source(written(tmp_path / "a.safetensors", one)),
                        Source(written(tmp_path / "b.safetensors", none)))
    assert error(tensors, summed((1.0, one))) < EXACT
    broken = written(tmp_path / "c.safetensors", plain(1, float("inf"), names=[TEXT]))
    with pytest.raises(UserError, match=r"alpha' has entries that are infinite"):
        merged(tmp_path / "t.safetensors", Source(broken))


def test_files_that_do_not_tell_their_family(tmp_path: Path, base: Path) -> None:
    path, one = tmp_path / "a.safetensors", drawn("dora_out", names=[ATTENTION]) | plain(1, names=[PROJECTION])
    file.save(path, one, {})
    for source, more, sentence in (
        (Source(path, weights="1:lbw=ALL"), {"base": base}, "so its blocks are not known"),
        (Source(path), {"base": base}, "None of the LoRAs tells"),
    ):
        with pytest.raises(UserError, match=sentence):
            merged(tmp_path / "s.safetensors", source, **more)
    tensors, outcome = merged(tmp_path / "s.safetensors", Source(path, weights="1:lbw=ALL"), base=base, family="sd1")
    assert error(tensors, summed((1.0, one))) < EXACT and outcome.rows[0]["block"] == "IN01"
    known = written(tmp_path / "b.safetensors", plain(1, names=[PROJECTION]))
    merged(tmp_path / "t.safetensors", Source(path), Source(known, weights="1:lbw=ALL"), base=base)  # one of them tells
    file.save(tmp_path / "c.safetensors", plain(1, names=[ATTENTION]), {})
    _, outcome = merged(tmp_path / "u.safetensors", Source(tmp_path / "c.safetensors"))
    assert [row["block"] for row in outcome.rows] == ["other"]
    assert not {"ss_v2", "ss_base_model_version"} & file.load(tmp_path / "u.safetensors").metadata.keys()


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    a, told = written(tmp_path / "a.safetensors", plain(1)), []
    order = MergeOrder((Source(a),), tmp_path / "s.safetensors")
    with pytest.raises(Cancelled):
        finish(merge.run(order), told.append, lambda: len(told) == 4)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    assert {progress.what for progress in told} == {"Reading", "Adding up"}
