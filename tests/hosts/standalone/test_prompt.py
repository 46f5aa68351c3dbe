"""Prompts become states: chunks of 75, commas kept together, weights on tokens, means restored."""
from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_trainer.families.sd1 import SD1
from lib_trainer.hosts.standalone.prompt import chunks, encode_prompt
from lib_trainer.hosts.standalone.text_encoders import TextEncoders
from lib_trainer.hosts.standalone.tokens import Tokenizer
from tests import tiny_checkpoint

TOKENIZER = Tokenizer()
ENCODERS = TextEncoders(SD1, (tiny_checkpoint.networks()[2],), TOKENIZER)


@torch.no_grad()
def encode(prompt: str, clip_skip: int = 1) -> torch.Tensor:
    return encode_prompt(ENCODERS, prompt, clip_skip).hidden


def test_short_prompt_is_one_chunk_of_its_plain_ids() -> None:
    ids = torch.tensor([TOKENIZER.wrap(TOKENIZER.ids("a cat, blue sky"))])
    with torch.no_grad():
        assert torch.equal(encode("a cat, blue sky"), ENCODERS.networks[0](ids).last_hidden_state)


@pytest.mark.parametrize(("prompt", "count"), [
    ("", 1), ("cat " * 75, 1), ("cat " * 76, 2), ("cat " * 151, 3), ("a BREAK b", 2), ("a BREAK", 2),
    ("cat " * 75 + ",", 2),
])
def test_states_of_long_prompts_stand_side_by_side(prompt: str, count: int) -> None:
    assert encode(prompt).shape == (1, 77 * count, tiny_checkpoint.TEXT_WIDTH)


def test_a_tag_is_not_torn_apart() -> None:
    first, second = chunks("cat " * 70 + ", one two three four five six seven", TOKENIZER)
    assert len(first.ids) == 71 and first.ids[-1] == TOKENIZER.comma
    assert second.ids == TOKENIZER.ids("one two three four five six seven")


def test_far_commas_do_not_empty_a_chunk() -> None:
    first, second = chunks("cat, " + "dog " * 80, TOKENIZER)
    assert (len(first.ids), len(second.ids)) == (75, 7)


@given(st.text(alphabet="a b,(:1.2)[]", max_size=300))
@settings(max_examples=50)
def test_chunks_keep_every_token_in_order(prompt: str) -> None:
    found = chunks(prompt, TOKENIZER)
    assert all(len(part.ids) == len(part.weights) <= 75 for part in found)


def test_emphasis_changes_the_weighted_tokens_only_up_to_the_mean() -> None:
    plain, strong = encode("a cat on grass")[0], encode("a (cat:1.5) on grass")[0]
    ratio = (strong / plain).mean(dim=1)
    assert strong.mean().item() == pytest.approx(plain.mean().item(), rel=1e-4)
    assert ratio[2].item() / ratio[0].item() == pytest.approx(1.5, rel=1e-4)
    others = [0, 1, *range(3, 77)]
    torch.testing.assert_close(ratio[others], ratio[:1].expand(76), rtol=1e-4, atol=0)


def test_weight_of_one_changes_nothing() -> None:
    assert torch.equal(encode("a (cat:1.0)"), encode("a cat"))


def test_a_mean_of_zero_is_not_restored() -> None:
    """A final LayerNorm without bias makes every mean about 0; dividing by it gave NaN or wild brightness."""
    encoder = tiny_checkpoint.networks()[2]
    torch.nn.init.zeros_(encoder.text_model.final_layer_norm.bias)
    encoders = TextEncoders(SD1, (encoder,), TOKENIZER)
    with torch.no_grad():
        plain = encode_prompt(encoders, "a cat on grass", 1).hidden[0]
        strong = encode_prompt(encoders, "a (cat:1.5) on grass", 1).hidden[0]
    torch.testing.assert_close(strong[2], plain[2] * 1.5)
    torch.testing.assert_close(strong[3], plain[3])


def test_clip_skip_reaches_prompts() -> None:
    assert not torch.allclose(encode("a cat", 1), encode("a cat", 2))
