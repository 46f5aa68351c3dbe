"""Networks: which layers they have, how they join and leave a model, how they become files and come back."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.utils.checkpoint
from torch import nn

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.host_model import Target
from lib_trainer.lora import network as networks
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.network import Network
from tests.families import layer_tables
from tests.lora import models
from tests.lora.models import ATTENTION, EVERYTHING, KERNEL, SHORTCUT, STRIDED, TEXT, input_for, layers

SHAPES = json.loads((Path(__file__).parents[1] / "data" / "sd15_lora_shapes.json").read_text())


def learned(targets: list[Target], seed: int = 0) -> Network:
    """Returns a network on all layers that does something."""
    network = networks.create(targets, EVERYTHING, SD1, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.layers.values():
            layer.up.normal_(generator=generator)
    return network


def outputs(targets: list[Target]) -> dict[str, torch.Tensor]:
    return {target.name: target.module(input_for(target)) for target in targets}


@pytest.mark.parametrize("conv_rank", [0, 4])
def test_keys_and_shapes_equal_sd_scripts(conv_rank: int) -> None:
    spec = NetworkSpec(rank=8, alpha=4.0, conv_rank=conv_rank, conv_alpha=2.0)
    state = networks.create(models.true_size_targets(), spec, SD1, seed=1).state_dict(torch.float16)
    expected = {}
    for name, (down, up) in {**SHAPES["lierla"], **(SHAPES["c3lier_adds"] if conv_rank else {})}.items():
        expected |= {f"{name}.alpha": [], f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    assert {name: list(tensor.shape) for name, tensor in state.items()} == expected
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}


@pytest.mark.parametrize(("family", "count"), [(SD2, 192), (SDXL, 722)])
@pytest.mark.parametrize("conv_rank", [0, 4])
def test_unet_layers_and_shapes_equal_sd_scripts(family: Family, count: int, conv_rank: int) -> None:
    spec = NetworkSpec(rank=8, alpha=4.0, conv_rank=conv_rank)
    made = networks.create(models.true_size_unet(family), spec, family, seed=1)
    parts = ["lierla", "c3lier_adds"] if conv_rank else ["lierla"]
    expected = {name: shapes for part in parts for name, shapes in layer_tables.read(family.name, part).items()
                if name.startswith("lora_unet_")}
    assert {name: [list(layer.down.shape), list(layer.up.shape)] for name, layer in made.layers.items()} == expected
    assert len(expected) == count + ((66 if family is SDXL else 86) if conv_rank else 0)


def test_conv_rank_is_for_true_kernels_only() -> None:
    network = networks.create(layers(), EVERYTHING, SD1, seed=1)
    kernel, shortcut = network.layers[KERNEL], network.layers[SHORTCUT]
    assert (kernel.rank, kernel.alpha) == (2, 4.0)
    assert (shortcut.rank, shortcut.alpha) == (3, 1.5)


def test_blocks_choose_unet_layers_and_leave_the_text_encoder() -> None:
    spec = NetworkSpec(rank=1, alpha=1.0, conv_rank=1, blocks=frozenset({"IN01"}))
    assert [choice.target.name for choice in networks.choose(layers(), spec, SD1)] == [
        ATTENTION, "lora_unet_down_blocks_0_attentions_0_proj_in", KERNEL, TEXT
    ]
    sampler = NetworkSpec(rank=1, alpha=1.0, conv_rank=1, text_encoder=False, blocks=frozenset({"IN03"}))
    assert [choice.target.name for choice in networks.choose(layers(), sampler, SD1)] == [STRIDED]


def test_all_attention_blocks_are_the_whole_lierla() -> None:
    seventeen = frozenset(f"IN{n:02}" for n in (1, 2, 4, 5, 7, 8)) | {"M00"} | {f"OUT{n:02}" for n in range(3, 12)}
    spec = NetworkSpec(rank=1, alpha=1.0, text_encoder=False, blocks=seventeen)
    assert len(networks.choose(models.true_size_targets(), spec, SD1)) == 192


def test_nothing_left_to_train_is_said() -> None:
    with pytest.raises(UserError, match="IN03"):
        networks.create(layers(), NetworkSpec(1, 1.0, text_encoder=False, blocks=frozenset({"IN03"})), SD1, seed=1)


def test_a_layer_starts_the_same_whichever_others_are_trained() -> None:
    alone = networks.create(layers(), NetworkSpec(3, 1.5, unet=True, text_encoder=False), SD1, seed=9)
    together = networks.create(layers(), EVERYTHING, SD1, seed=9)
    other = networks.create(layers(), EVERYTHING, SD1, seed=10)
    assert torch.equal(alone.layers[ATTENTION].down, together.layers[ATTENTION].down)
    assert not torch.equal(other.layers[ATTENTION].down, together.layers[ATTENTION].down)


def test_creating_leaves_the_process_wide_generator_alone() -> None:
    before = torch.get_rng_state()
    networks.create(layers(), EVERYTHING, SD1, seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_parts() -> None:
    network = networks.create(layers(), EVERYTHING, SD1, seed=1)
    parts = [networks.part_of(name) for name in network.layers]
    assert parts.count("unet") == 5 and [networks.part_of(TEXT)] == [part for part in parts if part != "unet"]


def test_attached_equals_merged_and_leaves_nothing_behind() -> None:
    targets = layers()
    network = learned(targets)
    before = outputs(targets)
    found = [dict(vars(target.module)) for target in targets]
    with network.attached(targets):
        during = outputs(targets)
    after = outputs(targets)
    for target in targets:
        delta = network.layers[target.name].delta(input_for(target))
        assert torch.equal(during[target.name], before[target.name] + delta)
        assert torch.equal(after[target.name], before[target.name])
    assert [dict(vars(target.module)) for target in targets] == found
    assert not any(target.module._forward_hooks for target in targets)


def test_hooks_leave_after_an_exception_inside_and_while_attaching() -> None:
    class Refusing(nn.Linear):
        def register_forward_hook(self, *args: object, **kwargs: object) -> None:  # type: ignore[override]
            raise MemoryError

    targets = layers()
    network = learned(targets)
    with pytest.raises(ZeroDivisionError), network.attached(targets):
        raise ZeroDivisionError
    broken = [*targets[:-1], Target(targets[-1].name, Refusing(6, 8))]
    with pytest.raises(MemoryError), network.attached(broken):
        raise AssertionError("never reached")
    assert not any(target.module._forward_hooks for target in targets)
    with network.attached(targets):
        assert all(target.module._forward_hooks for target in targets)


def test_two_networks_add_up() -> None:
    targets = layers()
    one, two = learned(targets, 1), learned(targets, 2)
    with one.attached(targets, dict.fromkeys(one.layers, 0.5)), two.attached(targets):
        both = outputs(targets)
    for target in targets:
        x = input_for(target)
        expected = target.module(x) + one.layers[target.name].delta(x, 0.5) + two.layers[target.name].delta(x)
        torch.testing.assert_close(both[target.name], expected)


def test_multipliers_change_while_attached_and_zero_is_clean() -> None:
    targets = layers()
    network = learned(targets)
    clean = outputs(targets)
    with network.attached(targets, dict.fromkeys(network.layers, 0.0)):
        assert all(torch.equal(value, clean[name]) for name, value in outputs(targets).items())
        network.set_multipliers({TEXT: 0.0})
        changed = outputs(targets)
    assert torch.equal(changed[TEXT], clean[TEXT])
    assert not torch.equal(changed[ATTENTION], clean[ATTENTION])


def test_attaching_twice_is_refused() -> None:
    targets = layers()
    network = learned(targets)
    with network.attached(targets), pytest.raises(RuntimeError, match="twice"), network.attached(targets):
        raise AssertionError("never reached")


@pytest.mark.parametrize("convolution", [False, True])
def test_rows_adapt_a_slice_of_a_fused_projection(convolution: bool) -> None:
    fused = nn.Conv2d(6, 24, 1) if convolution else nn.Linear(6, 24)
    names = [ATTENTION.replace("to_q", f"to_{part}") for part in "qkv"]
    targets = [Target(name, fused, slice(8 * n, 8 * n + 8)) for n, name in enumerate(names)]
    network = learned(targets)
    x = torch.randn(2, 6, 3, 3) if convolution else torch.randn(2, 5, 6)
    axis = 1 if convolution else -1
    clean = fused(x)
    with network.attached(targets, {names[1]: 0.0}):
        out = fused(x)
    q, k, v = (out - clean).chunk(3, dim=axis)
    torch.testing.assert_close(q, network.layers[names[0]].delta(x))
    assert not k.any()
    torch.testing.assert_close(v, network.layers[names[2]].delta(x))


def test_the_output_keeps_its_dtype() -> None:
    targets = layers(torch.bfloat16)
    network = learned(targets)
    with network.attached(targets):
        assert {t.module(input_for(t, torch.bfloat16)).dtype for t in targets} == {torch.bfloat16}


def test_gradients_reach_the_factors_and_not_the_model() -> None:
    targets = layers()
    network = learned(targets)
    with network.attached(targets):
        sum(value.square().sum() for value in outputs(targets).values()).backward()
    assert all(factor.grad is not None for layer in network.layers.values() for factor in layer.parameters())
    assert all(target.module.weight.grad is None for target in targets)


def test_state_comes_back_bit_equal_with_its_own_alpha() -> None:
    targets = layers()
    network = learned(targets)
    state = network.state_dict(torch.float32)
    again, unmatched = networks.from_state(targets, state)
    assert unmatched == []
    assert {name: (layer.rank, layer.alpha) for name, layer in again.layers.items()} == {
        name: (layer.rank, layer.alpha) for name, layer in network.layers.items()
    }
    back = again.state_dict(torch.float32)
    assert back.keys() == state.keys() and all(torch.equal(back[key], state[key]) for key in state)


def test_state_is_a_copy() -> None:
    network = learned(layers())
    state = network.state_dict(torch.float32)
    before = state[f"{TEXT}.lora_up.weight"].clone()
    with torch.no_grad():
        network.layers[TEXT].up.add_(1.0)
    assert torch.equal(state[f"{TEXT}.lora_up.weight"], before)


def test_continuing_adopts_rank_and_alpha_of_the_file() -> None:
    """Bug 20 of the reference trainer is not copied: it trained at the command line's alpha and saved the file's."""
    state = {
        f"{TEXT}.lora_down.weight": torch.ones(4, 6), f"{TEXT}.lora_up.weight": torch.ones(8, 4),
        f"{TEXT}.alpha": torch.tensor(2.0),
        f"{ATTENTION}.lora_down.weight": torch.ones(2, 6), f"{ATTENTION}.lora_up.weight": torch.ones(8, 2),
    }
    network, _ = networks.from_state(layers(), state)
    assert (network.layers[TEXT].rank, network.layers[TEXT].scale) == (4, 0.5)
    assert (network.layers[ATTENTION].rank, network.layers[ATTENTION].scale) == (2, 1.0)


def test_tensors_without_a_place_are_reported() -> None:
    state = learned(layers()).state_dict(torch.float32)
    state["lora_unet_input_blocks_1_1_proj_in.lora_down.weight"] = torch.ones(1, 1)
    state[f"{TEXT}.bias"] = torch.ones(1)
    network, unmatched = networks.from_state(layers(), state)
    assert len(network.layers) == 6
    assert sorted(unmatched) == [f"{TEXT}.bias", "lora_unet_input_blocks_1_1_proj_in.lora_down.weight"]


@pytest.mark.parametrize("part", ["hada_w1_a", "lokr_w1", "oft_diag", "dora_scale", "diff_b"])
def test_what_cannot_be_trained_on_is_named(part: str) -> None:
    with pytest.raises(UserError, match=f"{part}.*cannot be trained on"):
        networks.from_state(layers(), {f"{TEXT}.{part}": torch.ones(8, 8)})


def test_a_lora_of_another_family_is_refused() -> None:
    state = {f"lora_te2_{n}.lora_{part}.weight": torch.ones(1, 1) for n in "ab" for part in ("down", "up")}
    with pytest.raises(UserError, match="None of the LoRA's 2 layers"):
        networks.from_state(layers(), state)


def test_half_a_layer_is_refused() -> None:
    state = learned(layers()).state_dict(torch.float32)
    del state[f"{TEXT}.lora_up.weight"]
    with pytest.raises(UserError, match=r"mlp_fc1\.lora_up\.weight' is missing"):
        networks.from_state(layers(), state)


def test_checkpointing_computes_the_same_gradients() -> None:
    targets = layers()
    network = learned(targets)
    linear = next(target for target in targets if target.name == ATTENTION)
    gradients = []
    for recompute in (False, True):
        x = input_for(linear).requires_grad_()
        with network.attached(targets):
            out = torch.utils.checkpoint.checkpoint(linear.module, x, use_reentrant=False) if recompute else (
                linear.module(x))
            out.square().sum().backward()
        gradients.append(network.layers[ATTENTION].down.grad)
        network.layers[ATTENTION].down.grad = None
    assert gradients[0].any()
    assert torch.equal(*gradients)


@pytest.mark.parametrize("conv_rank", [0, 4])
def test_diffusers_understands_every_name(conv_rank: int) -> None:
    from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers as convert

    spec = NetworkSpec(rank=1, alpha=1.0, conv_rank=conv_rank)
    network = networks.create(models.true_size_targets(), spec, SD1, seed=1)
    converted, alphas = convert(network.state_dict(torch.float32))
    assert len(converted) == 2 * len(network.layers)
    assert len(alphas) == len(network.layers)
