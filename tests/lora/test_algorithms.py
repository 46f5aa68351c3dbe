"""The mathematics of every kind, against LyCORIS' own functions, and as a layer acts on a model."""
from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib_trainer.errors import UserError
from lib_trainer.host_model import Target
from lib_trainer.lora import keys, loaded
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.changes import ChangeLayer, own_weight
from lib_trainer.lora.layers import LoraLayer
from tests.lora import kinds
from tests.lora.models import ATTENTION, KERNEL, TEXT, input_for, layers

CASES = [pytest.param(kind, target, id=f"{kind}-{target.name.split('_', 2)[2]}") for kind, target in kinds.cases()]


def change(target: Target, parts: kinds.Parts) -> registry.Change:
    return registry.change(target.name, layer_parts.read(parts), own_weight(target))


def lycoris(kind: str, parts: dict[str, Any], weight: Tensor) -> Tensor:
    """Returns the change of the weight by LyCORIS 4 itself."""
    from lycoris.functional import boft, diag_oft, loha, lokr
    from lycoris.functional import locon as lora
    from lycoris.modules.glora import _glora_weight
    from lycoris.modules.ia3 import _ia3_weight

    get, name = parts.get, registry.find(parts).name  # type: ignore[union-attr]
    alpha = float(get("alpha", torch.tensor(0.0)))
    if name == "lora":
        down, up = parts["lora_down.weight"], parts["lora_up.weight"]
        return lora.diff_weight(down, up, get("lora_mid.weight"), gamma=alpha / kinds.RANK)
    if name == "loha":
        factors = [get(f"hada_{part}") for part in ("w1_b", "w1_a", "w2_b", "w2_a", "t1", "t2")]
        return loha.diff_weight(*factors, gamma=torch.tensor(alpha / kinds.RANK)).reshape(weight.shape)
    if name == "lokr":
        factors = [get(f"lokr_{part}") for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")]
        if "lokr_t2" in parts:  # the functional form divides by the wrong side of w2_a here; its module does not
            alpha *= parts["lokr_w2_a"].shape[1] / kinds.RANK
        return lokr.diff_weight(*factors, gamma=alpha).reshape(weight.shape)
    if name == "glora":
        order = ("a2", "a1", "b2", "b1") if kind == "glora_old" else ("a1", "a2", "b1", "b2")
        factors = [parts[f"{part}.weight"] for part in order]
        return _glora_weight(weight, *factors, get("bm.weight"), alpha / kinds.RANK)
    if name == "ia3":
        return _ia3_weight(weight, parts["weight"], bool(parts["on_input"]), 1, True)
    method = boft if parts["oft_blocks"].dim() == 4 else diag_oft
    bound = alpha * weight.shape[0]
    return method.diff_weight(weight, parts["oft_blocks"], get("rescale"), constraint=bound)


@pytest.mark.parametrize(("kind", "target"), [case for case in CASES if case.values[0] not in (
    "oft_diag", "full", "full_b", "only_b", "lora_bias", "lora_sparse_bias")])
def test_the_change_is_that_of_lycoris(kind: str, target: Target) -> None:
    from lycoris.functional.general import weight_decompose

    parts, weight = kinds.draw(kind, target), own_weight(target)
    expected = lycoris(kind, parts, weight).reshape(weight.shape)
    if "dora_scale" in parts:
        on_output = parts["dora_scale"].shape[0] == weight.shape[0]
        expected = weight_decompose(weight + expected, parts["dora_scale"], wd_on_out=on_output) - weight
    # Sums of some 50 products of normal numbers, in another order; the inverse of OFT loses a digit more.
    torch.testing.assert_close(change(target, parts).weight, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kind", "target"), CASES)
def test_the_strength_scales_the_whole_change(kind: str, target: Target) -> None:
    """W' = W + m (f(W) - W), and 0 is nothing at all: what the peer gets wrong for DoRA, GLoRA and biases."""
    parts, x = kinds.draw(kind, target), input_for(target)
    full = change(target, parts)
    network, unmatched = loaded.from_state([target], {f"{target.name}.{part}": t for part, t in parts.items()})
    assert unmatched == []
    plain = target.module(x)
    merged_outputs = {strength: merged(target, full, strength)(x) for strength in (1.0, 0.5, -0.7)}
    with network.attached([target]):
        for strength, expected in merged_outputs.items():
            network.set_multipliers({target.name: strength})
            # The weight form: the sum of 54 products of numbers up to some tens, in another order.
            torch.testing.assert_close(target.module(x), expected, rtol=1e-3, atol=1e-3)
        network.set_multipliers({target.name: 0.0})
        assert torch.equal(target.module(x), plain)
    assert torch.equal(target.module(x), plain)


def merged(target: Target, full: registry.Change, strength: float) -> nn.Module:
    """Returns a copy of the model's layer with the change added to its weight and bias."""
    module: Any = copy.deepcopy(target.module)
    with torch.no_grad():
        if full.weight is not None:
            module.weight += strength * full.weight
        if full.bias is not None:
            module.bias += strength * full.bias
    return module


@pytest.mark.parametrize("strength", [1.0, 0.5, -0.7])
@pytest.mark.parametrize("target", kinds.norms(), ids=["layer", "group"])
def test_norms(target: Target, strength: float) -> None:
    parts = kinds.norm_parts()
    shape = (2, 8, 5, 3) if isinstance(target.module, nn.GroupNorm) else (2, 5, 8)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    network, _ = loaded.from_state([target], {f"{target.name}.{part}": tensor for part, tensor in parts.items()})
    with network.attached([target], {target.name: strength}):
        found = target.module(x)
    full = registry.Change(parts["w_norm"], parts["b_norm"])
    torch.testing.assert_close(found, merged(target, full, strength)(x), rtol=1e-5, atol=1e-5)


def test_the_terms_that_have_no_function_in_lycoris() -> None:
    """A full difference is itself, a stored rest joins the product before alpha / rank, OFT's old blocks turn."""
    target = layers()[0]
    full = kinds.draw("full_b", target)
    assert torch.equal(change(target, full).weight, full["diff"])  # type: ignore[arg-type]
    assert torch.equal(change(target, full).bias, full["diff_b"])  # type: ignore[arg-type]
    plain = {part: tensor for part, tensor in kinds.draw("lora_bias", target).items() if part != "bias"}
    rest = change(target, kinds.draw("lora_bias", target)).weight - change(target, plain).weight  # type: ignore
    torch.testing.assert_close(rest, kinds.draw("lora_bias", target)["bias"] * 1.5 / kinds.RANK)
    sparse = change(target, kinds.draw("lora_sparse_bias", target)).weight - change(target, plain).weight  # type: ignore
    assert (sparse.abs() > 1e-6).nonzero().tolist() == [[0, 2], [1, 3], [5, 0]]
    turned = own_weight(target) + change(target, kinds.draw("oft_diag", target)).weight  # type: ignore[operator]
    torch.testing.assert_close(turned.norm(dim=0), own_weight(target).norm(dim=0))  # a rotation keeps lengths


@pytest.mark.parametrize(("kind", "target"), CASES)
def test_files_name_the_kind_of_their_layers(kind: str, target: Target) -> None:
    parts = kinds.draw(kind, target)
    found, by_name = registry.find(parts), keys.algorithm(f"{target.name}.{part}" for part in parts)
    if "dora_scale" in parts:
        assert by_name == "dora"
    elif found is not None:
        assert by_name in (found.name, "locon" if found.name == "lora" else found.name)
    assert registry.unknown(parts) == []


def test_plain_lora_keeps_its_thin_matrices() -> None:
    targets = layers()
    state = {f"{target.name}.{part}": tensor for target in targets for part, tensor in kinds.draw(
        "lora" if target.name != TEXT else "lora_diff_b", target).items()}
    network, _ = loaded.from_state(targets, state)
    assert {type(layer) for name, layer in network.layers.items() if name != TEXT} == {LoraLayer}
    assert isinstance(network.layers[TEXT], ChangeLayer)
    assert not any(p.requires_grad for layer in network.layers.values() if isinstance(layer, LoraLayer)
                   for p in layer.parameters())


def test_another_preset_works_nothing_out_again() -> None:
    """Only a layer that begins to act costs its arithmetic, once; the file's tensors are not copied."""
    targets = layers()
    state = {f"{target.name}.{part}": tensor for target in targets
             for part, tensor in kinds.draw("dora_out", target).items()}
    network, _ = loaded.from_state(targets, state)

    def draw(multipliers: dict[str, float]) -> None:
        with network.attached(targets, multipliers):
            for target in targets:
                target.module(input_for(target))

    draw({name: float(name in (ATTENTION, KERNEL)) for name in network.layers})
    assert network.workings_out == 2
    draw({name: 0.3 * (name in (ATTENTION, KERNEL, TEXT)) for name in network.layers})
    assert network.workings_out == 3
    draw({})
    assert network.workings_out == len(targets)
    draw(dict.fromkeys(network.layers, -2.0))
    assert network.workings_out == len(targets)
    kept = network.bytes_kept
    assert kept == sum(4 * own_weight(target).numel() for target in targets)
    network.forget()
    assert network.bytes_kept == 0


def test_a_layer_of_another_model_is_worked_out_anew() -> None:
    first, second = layers()[0], Target(ATTENTION, nn.Linear(6, 8))
    network, _ = loaded.from_state([first], {f"{ATTENTION}.{p}": t for p, t in kinds.draw("ia3", first).items()})
    x = input_for(first)
    for target in (first, second):
        plain = target.module(x)
        with network.attached([target]):
            found = target.module(x)
        expected = plain + (plain - target.module.bias) * kinds.draw("ia3", first)["weight"]
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["dora_out", "loha", "oft", "full_b"])
def test_half_precision_and_rows_of_a_fused_projection(kind: str) -> None:
    fused = nn.Linear(6, 24).to(torch.bfloat16)
    name = ATTENTION.replace("to_q", "to_k")
    target = Target(name, fused, slice(8, 16))
    parts = kinds.KINDS[kind](kinds.Draw(own_weight(target).float(), 0))
    network, _ = loaded.from_state([target], {f"{name}.{part}": tensor for part, tensor in parts.items()})
    x = torch.randn(2, 5, 6).to(torch.bfloat16)
    clean = fused(x)
    with network.attached([target]):
        out = fused(x)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out[..., :8], clean[..., :8]) and torch.equal(out[..., 16:], clean[..., 16:])
    assert not torch.equal(out[..., 8:16], clean[..., 8:16])


def test_what_is_not_understood_is_told() -> None:
    targets = layers()
    state = {f"{TEXT}.{part}": tensor for part, tensor in kinds.draw("lora", targets[-1]).items()}
    state |= {f"{TEXT}.mystery": torch.ones(1), f"{ATTENTION}.mystery": torch.ones(1), "elsewhere.diff": torch.ones(1)}
    network, unmatched = loaded.from_state(targets, state)
    assert list(network.layers) == [TEXT] and isinstance(network.layers[TEXT], LoraLayer)
    assert sorted(unmatched) == sorted([f"{TEXT}.mystery", f"{ATTENTION}.mystery", "elsewhere.diff"])


def test_other_prefixes_are_kohyas_layers() -> None:
    target = layers()[0]
    name = "oft_" + ATTENTION.removeprefix("lora_")
    network, unmatched = loaded.from_state(
        [target], {f"{name}.{part}": tensor for part, tensor in kinds.draw("oft", target).items()})
    assert (list(network.layers), unmatched) == ([ATTENTION], [])


@pytest.mark.parametrize("kind", ["dora_out", "loha", "lokr", "glora", "ia3", "oft", "full"])
def test_a_layer_of_another_width_is_refused(kind: str) -> None:
    wide = Target(ATTENTION, nn.Linear(6, 10))
    parts = kinds.draw(kind, layers()[0])
    with pytest.raises(UserError, match=r"does not fit.*\[10, 6\]"):
        loaded.from_state([wide], {f"{ATTENTION}.{part}": tensor for part, tensor in parts.items()})


def test_coordinates_outside_the_weight_are_a_damaged_file() -> None:
    target = layers()[0]
    parts = kinds.draw("lora_sparse_bias", target) | {"bias_indices": torch.tensor([[0, 1, 5], [2, 3, 600]])}
    with pytest.raises(UserError, match=r"'bias_indices' do not fit.*damaged"):
        loaded.from_state([target], {f"{target.name}.{part}": tensor for part, tensor in parts.items()})


def test_nothing_that_fits_is_refused() -> None:
    with pytest.raises(UserError, match="None of the LoRA's 1 layers"):
        loaded.from_state(layers(), {"lora_te2_x.diff": torch.ones(1)})


def test_names_of_another_program_are_not_taken_for_another_model() -> None:
    with pytest.raises(UserError, match=r"names of another program.*'unet.*Convert"):
        loaded.from_state(layers(), {"unet.mid_block.x.lora_A.weight": torch.ones(1, 1)})


def test_half_a_layer_is_a_damaged_file() -> None:
    target = layers()[0]
    with pytest.raises(UserError, match=r"incomplete.*lora_up\.weight' is missing"):
        loaded.from_state([target], {f"{ATTENTION}.lora_down.weight": torch.ones(2, 6)})
    with pytest.raises(UserError, match=r"no known kind|incomplete"):
        loaded.from_state([target], {f"{ATTENTION}.lora_down.weight": torch.ones(2, 6),
                                     f"{ATTENTION}.dora_scale": torch.ones(8, 1)})
