"""What the leased model gives: values, shapes, gradients, and captions taken literally."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.families import ldm
from lib_trainer.lora import file as lora_file
from lib_trainer.lora.network import part_of
from tests.contract import steps
from tests.contract.cases import HostCase

DATA = Path(__file__).parents[1] / "data"
TABLES = {name: json.loads((DATA / f"{name}_tokens.json").read_text()) for name in ("sd1", "sd2")}
TOKENS = TABLES["sd1"]
WEIGHTED = json.loads((Path(__file__).parents[1] / "data" / "weighted_captions.json").read_text())
SINGLE = {f"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_{part}" for part in "qk"}
"""Where 64 pixels leave one place, attention over it has no gradient but rounding errors."""
LITERAL = "(a:1.2) [b] BREAK AND c"
LITERAL_IDS = [263, 320, 281, 272, 269, 273, 264, 314, 321, 316, 2568, 537, 322]
"""CLIP's ids of LITERAL: brackets, colon, BREAK and AND are words like all others."""


def padded(ids: list[int], table: str) -> list[int]:
    """Returns SD 1.x's ids of a piece as another encoder has them: what follows the first end token is 0 there."""
    if table == "sd1":
        return ids
    end = ids.index(49407) + 1
    return ids[:end] + [0] * (len(ids) - end)


def test_checkpoint_facts(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        table = model.alphas_cumprod
        assert table.shape == (1000,) and table.dtype == torch.float32
        assert bool((table.diff() < 0).all()) and 0 < table[-1] < table[0] < 1
        assert model.checkpoint == case.host.checkpoint()
        assert model.checkpoint.prediction in ("epsilon", "v")
        assert model.device.type and model.compute_dtype.is_floating_point


def test_targets_are_named_once_and_belong_to_the_family(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        family, names = model.checkpoint.family, [target.name for target in model.targets()]
        assert len(set(names)) == len(names)
        kinds = [(family.is_text_layer(n), family.is_attention_layer(n), family.is_conv_layer(n)) for n in names]
        assert all(sum(kind) == 1 for kind in kinds)
        text, attention, conv = (sum(column) for column in zip(*kinds, strict=True))
        assert attention == case.attention_layers and text % 6 == 0 and text > 0
        assert case.conv_layers[0] <= conv <= case.conv_layers[1]
        assert [target.name for target in model.targets()] == names


def test_posterior_is_deterministic(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        pixels = steps.pixels(2)
        mean, std = model.encode_images(pixels)
        again = model.encode_images(pixels)
        assert mean.shape == std.shape == (2, 4, 8, 8) and mean.dtype == std.dtype == torch.float32
        assert bool((std > 0).all()) and not mean.requires_grad and not mean.is_inference()
        assert torch.equal(mean, again[0]) and torch.equal(std, again[1])
        assert not torch.equal(mean[0], mean[1])


@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("caption", TOKENS["captions"])
def test_caption_chunks_are_joined_as_sd_scripts_does(case: HostCase, chunks: int, caption: str) -> None:
    """Each chunk of the reference's ids is encoded alone; the first's begin, all middles, the last's end remain."""
    if not all(caption in TABLES[table]["captions"] for table in case.tables):
        pytest.skip("the reference's tokenizer of this encoder takes '!' for padding")
    encoded = []
    for encoder, table in enumerate(case.tables):
        rows = [case.states_of(ids, encoder) for ids in TABLES[table]["ids"][f"{table}_{75 * chunks}"][caption]]
        encoded.append(torch.cat([rows[0][:1], *[row[1:-1] for row in rows], rows[-1][-1:]]))
    want = torch.cat(encoded, dim=-1)
    with case.host.borrow_model() as lease, lease.turn() as model:
        states = model.encode_captions([TOKENS["captions"][caption]], chunks=chunks).hidden
        assert states.shape[:2] == (1, 75 * chunks + 2) and not states.requires_grad
        # encoding chunks together or alone differs by the rounding of a batched matrix product
        torch.testing.assert_close(states[0], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("caption", WEIGHTED["captions"])
def test_weights_multiply_the_states_of_their_tokens(case: HostCase, chunks: int, caption: str) -> None:
    """The reference's ids, encoded without weights, times the reference's weights; no mean is restored."""
    reference = WEIGHTED["cases"][caption][str(75 * chunks)]
    if chunks > 1 and case.tables != ("sd1",):
        pytest.skip("the reference is SD 1.x's; other encoders fill the pieces of long captions by another rule")
    encoded = []
    for encoder, table in enumerate(case.tables):
        rows = [case.states_of(padded(ids, table), encoder) for ids in reference["ids"]]
        encoded.append(torch.cat([rows[0][:1], *[row[1:-1] for row in rows], rows[-1][-1:]]))
    states = torch.cat(encoded, dim=-1)
    weights = torch.tensor([1.0, *[weight for row in reference["weights"] for weight in row[1:-1]], 1.0])
    with case.host.borrow_model() as lease, lease.turn() as model:
        found = model.encode_captions([WEIGHTED["captions"][caption], "a"], chunks=chunks, weighted=True).hidden
        # as above; the weights, up to 1.6, are written with 6 digits
        torch.testing.assert_close(found[0].float(), states * weights[:, None], rtol=1e-4, atol=2e-5)
        assert torch.equal(found[1], model.encode_captions(["b", "a"], chunks=chunks).hidden[1])


def test_captions_are_taken_literally(case: HostCase) -> None:
    ids = [49406, *LITERAL_IDS, *[49407] * (76 - len(LITERAL_IDS))]
    want = torch.cat([case.states_of(padded(ids, table), number) for number, table in enumerate(case.tables)], dim=-1)
    with case.host.borrow_model() as lease, lease.turn() as model:
        torch.testing.assert_close(model.encode_captions([LITERAL]).hidden[0], want, rtol=1e-4, atol=1e-5)


def test_clip_skip_takes_another_layer_and_knows_its_limits(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        last, earlier = (model.encode_captions(["a cat"], clip_skip=skip).hidden for skip in (1, 2))
        if not model.checkpoint.family.has_clip_skip:
            assert torch.equal(last, earlier)
            return
        assert last.shape == earlier.shape and not torch.allclose(last, earlier)
        with pytest.raises(UserError, match=r"Clip skip must be 1 to .*got 99"):
            model.encode_captions(["a cat"], clip_skip=99)


@pytest.mark.parametrize("clip_skip", [1, 2])
def test_gradients_reach_both_parts_and_no_weight(case: HostCase, clip_skip: int) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model)
        with made.attached(model.targets()):
            steps.backward(model, clip_skip=clip_skip)
        skipped = steps.idle(model)
        for part in {part_of(name) for name in made.layers}:
            found = [factor.grad for name, layer in made.layers.items() if part_of(name) == part and name not in SINGLE
                     for factor in (layer.down, layer.up)]
            reached = [grad for grad in found if grad is not None and bool(grad.abs().max() > 0)]
            # the layers that clip skip skips are computed by nobody: 12 factors per skipped layer
            beyond = 2 * len(skipped) or 12 * (clip_skip - 1)
            assert len(reached) == len(found) - (beyond if part == "text_encoder" else 0)
        assert all(weight.grad is None for network in case.networks() for weight in network.parameters())


def test_bf16_autocast_trains_float32_adapters(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model)
        with made.attached(model.targets()), torch.autocast(model.device.type, torch.bfloat16):
            steps.backward(model)
        found = steps.gradients(made, steps.idle(model))
        assert {gradient.dtype for gradient in found.values()} == {torch.float32}
        assert all(bool(gradient.isfinite().all()) for gradient in found.values())
        mean, _ = model.encode_images(steps.pixels())
        with torch.autocast(model.device.type, torch.bfloat16):
            assert torch.equal(model.encode_images(steps.pixels())[0], mean)


def test_checkpointing_gives_the_same_gradients(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model)
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        first = ldm.unet_layer("input_blocks.1.0.in_layers.2", model.checkpoint.family)
        watched = next(target.module for target in model.targets() if target.name == first)
        handle = watched.register_forward_hook(count)
        try:
            with made.attached(model.targets()):
                steps.backward(model)
                plain, plain_calls = steps.gradients(made, steps.idle(model)), calls
                with model.checkpointing():
                    steps.backward(model)
                saved, saved_calls = steps.gradients(made, steps.idle(model)), calls - plain_calls
        finally:
            handle.remove()
        assert (plain_calls, saved_calls) == (1, 2)  # the activations really were recomputed
        for name, gradient in plain.items():
            torch.testing.assert_close(saved[name], gradient, rtol=1e-5, atol=1e-8, msg=name)


def test_early_blocks_run_without_a_graph_when_only_late_ones_are_trained(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model, blocks=frozenset({"OUT03", "OUT04", "OUT05", "OUT06"}), text_encoder=False)
        modules = {target.name: target.module for target in model.targets()}
        recorded: dict[str, bool] = {}

        def watch(name: str) -> torch.utils.hooks.RemovableHandle:
            return modules[name].register_forward_hook(
                lambda module, args, output: recorded.update({name: output.requires_grad}))

        paths = ("middle_block.1.proj_out", "output_blocks.5.1.proj_out")
        early, late = (str(ldm.unet_layer(path, model.checkpoint.family)) for path in paths)
        handles = [watch(name) for name in (early, late)]
        try:
            with made.attached(model.targets()):
                cond = steps.conditioning(model, grad=False)
                model.predict(torch.zeros(1, 4, 8, 8), torch.tensor([500]), cond).sum().backward()
        finally:
            for handle in handles:
                handle.remove()
        assert recorded == {early: False, late: True}
        assert steps.gradients(made)


def test_previews_are_the_hosts_own_pictures(case: HostCase) -> None:
    own = case.draw("a (cat:1.3)", seed=9)
    with case.host.borrow_model() as lease, lease.turn() as model:
        picture = model.preview(steps.picture("a (cat:1.3)", seed=9))
        assert picture.image.tobytes() == own and "Seed: 9" in picture.infotext
        made = steps.network(model)
        with made.attached(model.targets()):
            assert model.preview(steps.picture("a (cat:1.3)", seed=9)).image.tobytes() != own
        assert model.preview(steps.picture("a (cat:1.3)", seed=9)).image.tobytes() == own


@pytest.mark.parametrize(("dtype", "levels"), [(torch.float32, 0), (torch.float16, 3)])
def test_saved_and_loaded_draws_as_the_live_adapters(case: HostCase, dtype: torch.dtype, levels: int) -> None:
    """In fp32 not a pixel differs where the host computes both the same way.

    fp16 rounds every factor to 11 bits, which moves a pixel by few of 255 levels.
    """
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model)
        with made.attached(model.targets()):
            live = model.preview(steps.picture()).image.tobytes()
        name = f"saved-{str(dtype).removeprefix('torch.')}"
        lora_file.save(case.host.paths.loras / f"{name}.safetensors", made.state_dict(dtype), {})
    case.host.lora_saved(case.host.paths.loras / f"{name}.safetensors")
    levels = max(levels, case.levels)
    drawn, without = case.draw(f"a cat<lora:{name}:1>"), case.draw("a cat")
    assert max(abs(a - b) for a, b in zip(drawn, live, strict=True)) <= levels
    assert max(abs(a - b) for a, b in zip(without, live, strict=True)) > 3 * max(levels, 3)
