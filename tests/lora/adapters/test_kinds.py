"""Every kind that can be trained, by the same rules: identity, two forms, files, gradients, keys."""
from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.families.sd1 import SD1
from lib_trainer.host_model import Target
from lib_trainer.lora import loaded
from lib_trainer.lora import network as networks
from lib_trainer.lora.adapters.facts import FACTS, OPTIONS, RANK
from lib_trainer.lora.adapters.form import Form
from lib_trainer.lora.adapters.weight_layer import WeightLayer
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.changes import own_weight
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.keys import by_layer, canonical
from tests.lora import models
from tests.lora.adapters import trained

every_kind = pytest.mark.parametrize("kind", trained.KINDS)

SHAPES = json.loads((Path(__file__).parents[2] / "data" / "lycoris_shapes.json").read_text("utf8"))


def merged(target: Target, parts: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Returns a copy of a model's layer with the change of a file's layer in its weight and bias."""
    module: Any = copy.deepcopy(target.module)
    change = registry.change(target.name, layer_parts.read(parts), own_weight(target))
    with torch.no_grad():
        if change.weight is not None:
            module.weight += change.weight
        if change.bias is not None:
            module.bias += change.bias
    return module


@every_kind
def test_starts_as_the_identity(kind: str) -> None:
    found, network = trained.fresh(kind)
    clean = trained.outputs(found)
    with network.attached(found):
        for name, output in trained.outputs(found).items():
            # W / |W| times |W| is W but for the last bit, and R is inverted; all other kinds add a true zero.
            tolerance = 1e-5 if "dora" in kind else 0.0
            torch.testing.assert_close(output, clean[name], rtol=tolerance, atol=tolerance)


@every_kind
def test_attached_equals_merged_into_the_weights(kind: str) -> None:
    """The forward form in training (LyCORIS' functions) is the weight form of files (our own formulas)."""
    found, network = trained.learned(kind)
    clean = trained.outputs(found)
    state = {canonical(name): parts for name, parts in by_layer(network.state_dict(torch.float32)).items()}
    assert state.keys() == network.layers.keys()
    with network.attached(found):
        live = trained.outputs(found)
    for target in found:
        if target.name not in network.layers:
            continue
        expected = merged(target, state[target.name])(trained.input_for(target))
        # Sums of up to 54 products in another order.
        torch.testing.assert_close(live[target.name], expected, rtol=1e-4, atol=1e-4)
        assert not torch.equal(live[target.name], clean[target.name])


@every_kind
def test_loaded_from_its_file_it_draws_the_same(kind: str) -> None:
    found, network = trained.learned(kind)
    again, unmatched = loaded.from_state(found, network.state_dict(torch.float32))
    assert unmatched == []
    with network.attached(found, dict.fromkeys(network.layers, 0.7)):
        live = trained.outputs(found)
    with again.attached(found, dict.fromkeys(network.layers, 0.7)), torch.no_grad():
        for name, output in trained.outputs(found).items():
            torch.testing.assert_close(output, live[name], rtol=1e-4, atol=1e-4)


@every_kind
def test_continued_from_its_file_it_is_the_same(kind: str) -> None:
    """Every kind comes back to be trained on, bit for bit; LoHa and LoKr among them."""
    found, network = trained.learned(kind)
    state = network.state_dict(torch.float32)
    spec = trained.KINDS[kind]
    algorithm = spec.algorithm if spec.algorithm in ("lora", "lora_fa", "dylora") else "lora"
    again, unmatched = networks.from_state(found, state, algorithm, spec.form.unit)
    assert unmatched == []
    back = again.state_dict(torch.float32)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)
    assert any(parameter.requires_grad for layer in again.layers.values() for parameter in layer.parameters())


@every_kind
def test_gradients_reach_every_parameter_and_not_the_model(kind: str) -> None:
    found, network = trained.learned(kind)
    with network.attached(found):
        generator = torch.Generator().manual_seed(4)
        sum((value * torch.randn(value.shape, generator=generator)).sum()
            for value in trained.outputs(found).values()).backward()
    for layer in network.layers.values():
        for name, parameter in layer.named_parameters():
            assert parameter.grad is not None and bool(parameter.grad.any()), (layer.name, name)
    assert all(target.module.weight.grad is None for target in found)


@every_kind
def test_learns_a_change_of_a_layer(kind: str) -> None:
    """From its start on, the kind's own gradient nears what another network of its kind does."""
    found, teacher = trained.learned(kind, seed=5)
    with teacher.attached(found), torch.no_grad():
        wanted = {name: output for name, output in trained.outputs(found).items() if name in teacher.layers}
    _, network = trained.fresh(kind)
    optimizer = torch.optim.AdamW([p for layer in network.layers.values() for p in layer.parameters()], lr=0.05)
    losses = []
    for _ in range(5):
        with network.attached(found):
            outputs = trained.outputs(found)
            loss = sum((outputs[name] - value).square().mean() for name, value in wanted.items())
            loss.backward()
        losses.append(float(loss.detach()))
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.97 * losses[0]


@every_kind
def test_the_dtype_of_the_model_is_kept_and_gradients_are_float32(kind: str) -> None:
    found, network = trained.fresh(kind)
    for target in found:
        target.module.to(torch.bfloat16)
    with network.attached(found):
        produced = [target.module(trained.input_for(target).bfloat16()) for target in found]
        sum(value.float().square().sum() for value in produced).backward()
    assert {value.dtype for value in produced} == {torch.bfloat16}
    assert {p.grad.dtype for layer in network.layers.values() for p in layer.parameters() if p.grad is not None} == {
        torch.float32}


@every_kind
def test_checkpointing_gives_the_same_gradients(kind: str) -> None:
    gradients = []
    for recompute in (False, True):
        found, network = trained.learned(kind)
        with network.attached(found):
            gradients.append(trained.gradients(found, network, recompute))
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@every_kind
def test_the_length_and_its_scaling(kind: str) -> None:
    _, network = trained.learned(kind)
    for layer in network.layers.values():
        before = layer.norm()
        if not isinstance(layer, WeightLayer):
            torch.testing.assert_close(before, layer.weight_delta().norm(), rtol=1e-4, atol=1e-5)
        layer.scale_by(torch.tensor(0.25))
        torch.testing.assert_close(layer.norm(), before * 0.25, rtol=1e-4, atol=1e-6)


LYCORIS: dict[str, NetworkSpec] = {
    "locon": NetworkSpec(8, 4.0, 4, 2.0, layers="full"),
    "locon_attnmlp": NetworkSpec(8, 4.0),
    "locon_norm": NetworkSpec(8, 4.0, 8, 4.0, layers="full", norms=True),
    "loha": NetworkSpec(8, 4.0, 4, 2.0, layers="full", algorithm="loha"),
    "loha_tucker": NetworkSpec(8, 4.0, 4, 2.0, layers="full", algorithm="loha", form=Form(tucker=True)),
    "lokr": NetworkSpec(8, 4.0, 4, 2.0, layers="full", algorithm="lokr", form=Form(factor=8)),
    "lokr_full": NetworkSpec(8, 4.0, 8, 4.0, layers="full", algorithm="lokr", form=Form(factor=8, full_matrix=True)),
    "diag_oft": NetworkSpec(8, 4.0, 8, 4.0, layers="full", algorithm="oft"),
    "glora": NetworkSpec(8, 4.0, algorithm="glora"),
}
"""The settings of ours that make what LyCORIS made in the recorded runs."""


@pytest.mark.parametrize("name", LYCORIS)
def test_names_and_shapes_are_those_of_lycoris(name: str) -> None:
    network = networks.create(models.true_size_sd15(), LYCORIS[name], SD1, seed=1)
    found = {
        f"{layer.name}.{part}": list(tensor.shape)
        for layer in network.layers.values() for part, tensor in layer.stored().items()
    }
    expected = {
        f"{SHAPES['layers'][index]}.{part}": shape
        for parts, indices in SHAPES["kinds"][name] for index in indices for part, shape in parts.items()
    }
    assert found == expected
    assert network.numbers == sum(torch.empty(shape, device="meta").numel() for shape in expected.values())


@every_kind
def test_the_gradients_are_those_of_our_own_formulas(kind: str) -> None:
    """LyCORIS writes some backward passes by hand; they must be the derivatives of the formulas that files are read by.

    Version 3.4 of the package has a wrong one (LoHa's Tucker form), which is not used.
    """
    found, network = trained.learned(kind)
    generator = torch.Generator().manual_seed(6)
    for layer in network.layers.values():
        if not isinstance(layer, WeightLayer):
            continue
        own = registry.find({*layer.stored()})
        assert own is not None
        parts, weight = layer._read(), own_weight(next(t for t in found if t.name == layer.name)).float()
        towards = torch.randn(weight.shape, generator=generator)
        gradients = []
        for product in (layer.kind.product, own.product):
            change = product(parts, weight).reshape(weight.shape)
            factors = [tensor for part, tensor in layer.named_parameters() if part not in ("scalar", "dora_scale")]
            gradients.append(torch.autograd.grad((change * towards).sum(), factors, allow_unused=True))
        for one, other in zip(*gradients, strict=True):
            # The same sums in another order; OFT's inverse loses a digit more.
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["dora", "oft", "boft", "glora", "ia3", "lokr_tucker_dora"])
def test_a_base_stored_in_8_bits_is_read_in_full_precision(kind: str) -> None:
    """What depends on the model's weight takes it as it is stored and computes in float32."""
    found, _ = trained.fresh(kind)
    rounded = {}
    for target in found:
        weight: Any = target.module.weight
        rounded[target.name] = weight.data.to(torch.float8_e4m3fn).float()
        weight.data = weight.data.to(torch.float8_e4m3fn)
    network = networks.create(found, trained.KINDS[kind], SD1, 0)
    for layer in network.layers.values():
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.1)
    for name, parts in by_layer(network.state_dict(torch.float32)).items():
        if not isinstance(layer := network.layers[name], WeightLayer):
            continue
        expected = registry.change(name, layer_parts.read(parts), rounded[name]).weight
        torch.testing.assert_close(layer.change().weight, expected, rtol=1e-4, atol=1e-5)
        assert layer.change().weight.dtype == torch.float32


def test_a_quantised_base_is_refused_by_kinds_that_need_its_weights() -> None:
    target = Target(models.ATTENTION, torch.nn.Linear(6, 8))
    target.module.weight = torch.nn.Parameter(torch.zeros(8, 6, dtype=torch.int8), requires_grad=False)
    with pytest.raises(UserError, match=r"stored quantised \(torch.int8\).*Train a plain LoRA"):
        networks.create([target], NetworkSpec(2, 1.0, algorithm="glora"), SD1, 0)
    networks.create([target], NetworkSpec(2, 1.0), SD1, 0)


def test_the_documentation_names_every_kind_and_what_it_takes() -> None:
    page = (Path(__file__).parents[3] / "docs" / "NETWORKS.md").read_text("utf8")
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    del rows["algorithm"]
    assert rows.keys() == FACTS.keys()
    for name, facts in FACTS.items():
        row = rows[name].replace("as OFT", rows["oft"]).replace("as LoHa", rows["loha"])
        row = row.replace("all dropouts", "`network_dropout`, `rank_dropout`")
        assert {option for option in (*OPTIONS, RANK) if f"`{option}`" in row} == facts.takes, name
        assert (facts.module in row or facts.module == "lycoris.kohya") and facts.algo in row


@every_kind
def test_samples_have_strengths_of_their_own(kind: str) -> None:
    """As if each were alone with the U-Net's layers at that strength; it ends when the network leaves the model."""
    found, network = trained.learned(kind)
    strengths = (0.25, -0.5)
    alone = []
    for strength in strengths:
        with network.attached(found, dict.fromkeys(network.layers, strength)):
            alone.append(trained.outputs(found))
    with network.attached(found):
        network.act_at(torch.tensor(strengths))
        together = trained.outputs(found)
        network.act_at(None)
        plain = trained.outputs(found)
    for name, output in together.items():
        if not name.startswith("lora_unet_"):
            assert torch.equal(output, plain[name])
            continue
        # The factor comes before or behind a sum of some products.
        torch.testing.assert_close(output[0], alone[0][name][0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(output[1], alone[1][name][1], rtol=1e-5, atol=1e-5)
    with network.attached(found):
        network.act_at(torch.tensor(strengths))
    with network.attached(found):
        for name, output in trained.outputs(found).items():
            assert torch.equal(output, plain[name])
