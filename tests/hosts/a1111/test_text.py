"""SD 2.x's and SDXL's open_clip encoder: its states, and LoRAs on the thirds of its fused attention."""
from __future__ import annotations

import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.hosts.a1111.fused import taken_apart
from lib_trainer.hosts.a1111.text import OpenClipEncoder, States
from lib_trainer.hosts.recompute import blocks_of, recomputed
from lib_trainer.lora.adapters import making
from lib_trainer.lora.adapters.form import Form
from lib_trainer.lora.network import Network
from tests.hosts.a1111 import open_clip

IDS = torch.tensor([[49406, 5, 7, 9, 49407, *[0] * 72], [49406, *range(1, 76), 49407]])


def encoder(family: Family, seed: int = 0) -> OpenClipEncoder:
    return OpenClipEncoder(open_clip.Embedder(seed), "lora_te2" if family is SDXL else "lora_te", family)


def network(made: OpenClipEncoder) -> Network:
    """Returns a LoRA on every layer that changes the states visibly."""
    generator = torch.Generator().manual_seed(1)
    members = [making.create(target, "lora", 2, 2.0, Form(), generator) for target in made.targets]
    for layer in members:
        layer.up.data.copy_(torch.randn(layer.up.shape, generator=generator) * 0.3)
    return Network(members)


def run(made: OpenClipEncoder, skip: int = 1, prepared: list[torch.nn.Module] | None = None) -> States:
    seen = [] if prepared is None else prepared
    with taken_apart(made.fused, seen.append):
        return made.encode(IDS, skip)


def test_sd2_gives_the_normed_states_of_the_last_layer_but_one() -> None:
    made = encoder(SD2)
    model = made.embedder.wrapped.model
    for skip in (1, 2, 3):
        found = run(made, skip)
        assert found.pooled is None
        assert torch.equal(found.hidden, model.ln_final(model.after(IDS, open_clip.LAYERS - skip)))
    with pytest.raises(UserError, match=r"Clip skip must be 1 to 3 .*got 4"):
        run(made, 4)


def test_sdxl_gives_raw_states_and_pools_at_the_end_token() -> None:
    made = encoder(SDXL)
    model = made.embedder.wrapped.model
    found = run(made, skip=2)  # its layer is fixed
    last = model.ln_final(model.after(IDS, open_clip.LAYERS))
    assert torch.equal(found.hidden, model.after(IDS, open_clip.LAYERS - 1))
    assert found.pooled is not None
    torch.testing.assert_close(found.pooled, torch.stack([last[0, 4], last[1, 76]]) @ model.text_projection)


def test_layers_that_nobody_computes_are_no_targets() -> None:
    sd2, sdxl = encoder(SD2), encoder(SDXL)
    assert len(sd2.targets) == 6 * (open_clip.LAYERS - 1) and len(sdxl.targets) == 6 * open_clip.LAYERS
    names = [target.name.removeprefix("lora_te2_text_model_encoder_layers_0_") for target in sdxl.targets[:6]]
    assert sorted(names) == ["mlp_fc1", "mlp_fc2", "self_attn_k_proj", "self_attn_out_proj", "self_attn_q_proj",
                             "self_attn_v_proj"]


@pytest.mark.parametrize("family", [SD2, SDXL], ids=lambda family: family.name)
def test_a_lora_on_hooks_acts_as_one_merged_into_the_fused_weights(family: Family) -> None:
    made, merged = encoder(family), encoder(family)
    plain, lora = run(made), network(made)
    with lora.attached(made.targets):
        hooked = run(made)
    assert torch.equal(run(made).hidden, plain.hidden)
    with torch.no_grad():
        for target in merged.targets:
            rows = slice(None) if target.rows is None else target.rows
            target.module.weight[rows] += lora.layers[target.name].weight_delta()
    wanted = run(merged)
    torch.testing.assert_close(hooked.hidden, wanted.hidden, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(hooked.hidden, plain.hidden, atol=0.1)
    if wanted.pooled is not None:
        torch.testing.assert_close(hooked.pooled, wanted.pooled, rtol=1e-4, atol=1e-5)


def test_every_factor_gets_its_gradient_also_when_blocks_are_recomputed() -> None:
    made = encoder(SDXL)
    lora = network(made)

    def gradients() -> list[torch.Tensor]:
        states = made.encode(IDS, 1)
        assert states.pooled is not None
        (states.hidden.square().mean() + states.pooled.square().mean()).backward()
        factors = [factor for layer in lora.layers.values() for factor in layer.parameters()]
        found = [factor.grad for factor in factors]
        assert all(grad is not None and bool(grad.abs().max() > 0) for grad in found)
        for factor in factors:
            factor.grad = None
        return found  # type: ignore[return-value]

    with taken_apart(made.fused, lambda attention: None), lora.attached(made.targets):
        plain = gradients()
        with recomputed(blocks_of([made.network])):
            again = gradients()
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert not any(weight.requires_grad or weight.grad is not None for weight in made.network.parameters())


def test_the_host_merges_its_loras_before_the_weights_are_read() -> None:
    made = encoder(SD2)
    prepared: list[torch.nn.Module] = []
    run(made, prepared=prepared)
    assert prepared == []  # nothing is hooked on: the host's own forward does it
    with network(made).attached(made.targets):
        run(made, prepared=prepared)
    assert prepared == [parts.attention for parts in made.fused]
    assert all("forward" not in parts.attention.__dict__ for parts in made.fused)


def test_projections_hold_no_tensor_of_their_own() -> None:
    made = encoder(SD2)
    for parts in made.fused:
        for layer, weight in ((parts.inputs, parts.attention.in_proj_weight),
                              (parts.output, parts.attention.out_proj.weight)):
            assert layer.weight is weight and not layer._parameters and not layer._buffers


def test_captions_are_padded_with_the_encoders_own_token() -> None:
    ids = encoder(SD2).ids(["5 7", " ".join("8" for _ in range(80))], chunks=2)
    assert ids.shape == (2, 2, 77)
    assert ids[0, 0, :5].tolist() == [49406, 5, 7, 49407, 0] and ids[0, 1, :3].tolist() == [49406, 49407, 0]
    assert ids[1, 0].tolist() == [49406, *[8] * 75, 49407]
