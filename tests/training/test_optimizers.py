"""The table of optimisers: every row that can run here learns, and what cannot be done is said."""
from __future__ import annotations

import importlib.util
import random

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.training import optimizers
from lib_trainer.training.optimizers import OPTIMIZERS

HERE = [name for name, row in OPTIMIZERS.items() if not row.needs_cuda]
CUDA = [name for name, row in OPTIMIZERS.items() if row.needs_cuda]


def groups(rate: float) -> list[dict[str, object]]:
    """Two parts with one matrix each, away from the optimum 0."""
    return [
        {"name": name, "params": [torch.nn.Parameter(torch.full((4, 3), 1.0))], "lr": rate}
        for name in ("unet", "text_encoder")
    ]


def learn(name: str, args: str = "", updates: int = 300) -> tuple[float, list[torch.Tensor]]:
    """Minimises the squares and returns the last value and the parameters."""
    parts = groups(1.0 if OPTIMIZERS[name].finds_rate else 0.05)
    optimizer = optimizers.build(name, args, parts)
    factors = [part["params"][0] for part in parts]  # type: ignore[index]
    for _ in range(updates):
        optimizer.zero_grad()
        loss = sum(factor.square().sum() for factor in factors)
        loss.backward()
        optimizer.step()
    return loss.item(), factors


@pytest.mark.parametrize("name", HERE)
def test_every_optimiser_learns_repeatably_and_draws_nothing(name: str) -> None:
    before = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tobytes()
    value, factors = learn(name)
    assert value < 24.0 * 0.5  # both matrices start at 12
    assert all(torch.equal(*pair) for pair in zip(factors, learn(name)[1], strict=True))
    after = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tobytes()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


@pytest.mark.parametrize("name", HERE)
def test_groups_keep_their_names_and_a_rate_of_zero_stops_learning(name: str) -> None:
    parts = groups(1.0)
    optimizer = optimizers.build(name, "", parts)
    assert list(optimizers.effective_rates(optimizer)) == ["unet", "text_encoder"]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    for part in parts:
        part["params"][0].grad = torch.ones(4, 3)  # type: ignore[index]
    optimizer.step()
    assert all(torch.equal(part["params"][0], torch.ones(4, 3)) for part in parts)  # type: ignore[index]


def test_effective_rate_shows_what_prodigy_found() -> None:
    optimizer = optimizers.build("Prodigy", "d0=0.5", groups(1.0))
    assert optimizers.effective_rates(optimizer) == {"unet": 0.5, "text_encoder": 0.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("betas=0.9,0.999 weight_decay=0 d0=1e-06", {"betas": (0.9, 0.999), "weight_decay": 0, "d0": 1e-6}),
        ("betas=(0.9, 0.99), decouple=True", {"betas": (0.9, 0.99), "decouple": True}),
        ("weight_decay = 0.01", {"weight_decay": 0.01}),
        ("a=None\nb='x y'", {"a": None, "b": "x y"}),
        ("betas=0.9, 0.999, eps=1e-8", {"betas": (0.9, 0.999), "eps": 1e-8}),
    ],
)
def test_arguments_as_in_sd_scripts(text: str, expected: dict[str, object]) -> None:
    assert optimizers.parse_args(text) == expected


values = st.one_of(st.booleans(), st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
                   st.tuples(st.floats(0, 1), st.floats(0, 1)))


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), values))
def test_written_arguments_are_read_back(arguments: dict[str, object]) -> None:
    assert optimizers.parse_args(" ".join(f"{name}={value!r}" for name, value in arguments.items())) == arguments


@pytest.mark.parametrize(("text", "names"), [
    ("weight_decay", "'weight_decay'"), ("0.9 betas=1", "'0.9'"), ("decouple=true", "'decouple=true'"), ("x=", "'x='"),
    ("eps=1e-8 oops", "oops"),
])
def test_unreadable_arguments_are_named(text: str, names: str) -> None:
    with pytest.raises(UserError) as caught:
        optimizers.parse_args(text)
    assert names in str(caught.value)


def test_sd_scripts_names_of_arguments_work() -> None:
    chosen = optimizers.arguments("prodigy", "decouple=True use_bias_correction=True d_coef=2")
    assert chosen == {"weight_decouple": True, "bias_correction": True, "d_coef": 2}
    assert optimizers.build("Prodigy", "decouple=False", groups(1.0)).param_groups[1]["weight_decouple"] is False


def test_unknown_arguments_name_near_ones() -> None:
    with pytest.raises(UserError, match=r"AdamW has no 'weight_decai'\. Did you mean weight_decay"):
        optimizers.build("AdamW", "weight_decai=0.1", groups(1.0))
    with pytest.raises(UserError, match="learning rate in its own field"):
        optimizers.build("AdamW", "lr=1e-4", groups(1.0))


def test_refused_values_are_said() -> None:
    for name in ("AdamW", "Prodigy"):
        with pytest.raises(UserError, match=r"betas=\(2, 0\.9\)"):
            optimizers.build(name, "betas=2,0.9", groups(1.0))


def test_unknown_optimisers_name_near_ones() -> None:
    with pytest.raises(UserError, match="Did you mean AdamW"):
        optimizers.find("AdanW")
    with pytest.raises(UserError, match="Choose one of AdamW"):
        optimizers.find("xyzzy")
    assert optimizers.find(" adamw8BIT ")[0] == "AdamW8bit"


@pytest.mark.parametrize("name", CUDA)
def test_8bit_optimisers_say_why_they_cannot_run(name: str) -> None:
    expected = "NVIDIA cards only" if importlib.util.find_spec("bitsandbytes") else "pip install bitsandbytes"
    with pytest.raises(UserError, match=expected):
        optimizers.build(name, "", groups(1.0))


def test_adafactor_keeps_the_persons_rate() -> None:
    """Bug 21 of the reference trainer is not copied: its default drops every rate that was set."""
    optimizer = optimizers.build("Adafactor", "", groups(1e-4))
    assert {group["relative_step"] for group in optimizer.param_groups} == {False}
    assert optimizers.arguments("Adafactor", "relative_step=True")["relative_step"] is True


def test_description_is_the_records() -> None:
    assert optimizers.describe("AdamW", "") == "torch.optim.adamw.AdamW"
    assert optimizers.describe("adamw", "weight_decay=0.1") == "torch.optim.adamw.AdamW(weight_decay=0.1)"


@pytest.mark.parametrize(
    ("name", "rates", "rank", "alpha", "word"),
    [
        ("Prodigy", {"unet": 1e-4}, 8, 8.0, "Set 1"),
        ("DAdaptLion", {"unet": 1.0, "text_encoder": 0.5}, 8, 8.0, "no effect"),
        ("AdamW", {"unet": 1.0}, 8, 8.0, "destroyed"),
        ("AdamW", {"unet": 1e-4}, 64, 1.0, "1/64"),
    ],
)
def test_traps_are_warned_of(name: str, rates: dict[str, float], rank: int, alpha: float, word: str) -> None:
    assert any(word in warning for warning in optimizers.warnings_for(name, rates, rank, alpha))


@pytest.mark.parametrize(("name", "rate"), [("AdamW", 1e-4), ("Prodigy", 1.0)])
def test_usual_settings_give_no_warning(name: str, rate: float) -> None:
    assert optimizers.warnings_for(name, {"unet": rate, "text_encoder": rate}, 16, 8.0) == []
