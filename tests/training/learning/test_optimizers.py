"""The table of optimisers: every row that can run here learns, and what cannot be done is said."""
from __future__ import annotations

import importlib.util
import json
import random

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.training.checks.trial import trial
from lib_trainer.training.learning import one_call, optimizers, rate_finding
from lib_trainer.training.learning.optimizers import OPTIMIZERS
from lib_trainer.training.resume import packing
from tests.torch_version import since

FUSED_ON_CPU = since((2, 4), "fused optimisers on the CPU")

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
    assert list(rate_finding.effective(optimizer, {})) == ["unet", "text_encoder"]
    if OPTIMIZERS[name].finds_rate:
        return  # an update at rate 0 is left out, see the learner
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    for part in parts:
        part["params"][0].grad = torch.ones(4, 3)  # type: ignore[index]
    optimizer.step()
    assert all(torch.equal(part["params"][0], torch.ones(4, 3)) for part in parts)  # type: ignore[index]


def test_effective_rate_shows_what_prodigy_found() -> None:
    optimizer = optimizers.build("Prodigy", "d0=0.5", groups(1.0))
    assert rate_finding.effective(optimizer, {}) == {"unet": 0.5, "text_encoder": 0.5}
    assert rate_finding.effective(optimizer, {"text_encoder": 0.1}) == {"unet": 0.5, "text_encoder": 0.05}


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


def copied(state: object) -> object:
    """A state as it comes back from the files of a run's state."""
    tensors: dict[str, torch.Tensor] = {}
    packed = json.loads(json.dumps(packing.pack(state, tensors)))
    return packing.unpack(packed, {name: tensor.clone() for name, tensor in tensors.items()})


@pytest.mark.parametrize("name", HERE)
def test_the_state_continues_bit_for_bit(name: str) -> None:
    """Some updates, all numbers into a fresh optimiser, some more: as if there had been no end between."""

    def advance(optimizer: torch.optim.Optimizer, weights: list[torch.Tensor], first: int, last: int) -> None:
        for number in range(first, last):
            for index, weight in enumerate(weights):
                generator = torch.Generator().manual_seed(10 * number + index)
                weight.grad = weight.detach() + 0.3 * torch.randn(4, 3, generator=generator)
            optimizer.step()

    args = "warmup_steps=5" if name in ("AdamWScheduleFree", "SGDScheduleFree") else ""
    whole, half, fresh = ([*groups(1.0 if OPTIMIZERS[name].finds_rate else 0.05)] for _ in range(3))
    first, second, third = (optimizers.build(name, args, parts) for parts in (whole, half, fresh))
    weights = [[part["params"][0] for part in parts] for parts in (whole, half, fresh)]
    advance(first, weights[0], 0, 20)
    advance(second, weights[1], 0, 11)
    third.load_state_dict(copied(second.state_dict()))
    for old, new in zip(weights[1], weights[2], strict=True):
        new.data.copy_(old)
    advance(third, weights[2], 11, 20)
    assert all(torch.equal(*pair) for pair in zip(weights[0], weights[2], strict=True))


def test_any_class_can_be_named() -> None:
    assert optimizers.find("adamax") == ("Adamax", optimizers.find("torch.optim.Adamax")[1])
    assert type(optimizers.build("torch.optim.Adam", "betas=0.5,0.9", groups(1.0))) is torch.optim.Adam
    came = optimizers.find("pytorch_optimizer.CAME")[1]
    assert came == OPTIMIZERS["CAME"] and not came.foreign
    assert optimizers.find("prodigyopt.Prodigy")[1].finds_rate
    assert optimizers.find("schedulefree.AdamWScheduleFree")[1].schedule_free
    assert optimizers.find("bitsandbytes.optim.LAMB8bit")[1].needs_cuda


@pytest.mark.parametrize(("name", "word"), [
    ("nowhere.Optimizer", "pip install nowhere"), ("prodigyplus.ProdigyPlusScheduleFree", "prodigy-plus-schedule-free"),
    ("torch.optim.AdanW", "AdamW"), ("torch.nn.Linear", "no optimiser"), ("LBFGS", "closure"), ("SparseAdam", "dense"),
])
def test_classes_that_cannot_be_had_are_told(name: str, word: str) -> None:
    with pytest.raises(UserError, match=word):
        trial(name, "")


def test_a_trial_draws_nothing_of_the_process() -> None:
    before = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tobytes()
    for name in ("AdamW", "pytorch_optimizer.SPAM", "pytorch_optimizer.Kron"):  # the last two draw random numbers
        trial(name, "")
    after = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tobytes()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


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
    assert not optimizers.sets_own_rate("Adafactor", "")


def test_adafactor_sets_its_own_rate_where_it_is_asked_to() -> None:
    """With relative_step=True the class's own defaults hold, as in sd-scripts, and no rate is handed over."""
    assert optimizers.arguments("Adafactor", "relative_step=True") == {"relative_step": True}
    assert optimizers.sets_own_rate("adafactor", "relative_step=True")
    parts = groups(1e-4)
    optimizer = optimizers.build("Adafactor", "relative_step=True", parts)
    assert {group["lr"] for group in optimizer.param_groups} == {None}
    assert rate_finding.effective(optimizer, {})["unet"] == pytest.approx(1e-2 * 1e-3)  # times the least scale
    for _ in range(200):
        for part in parts:
            part["params"][0].grad = torch.ones(4, 3)  # type: ignore[index]
        optimizer.step()
    size = optimizer.state[parts[0]["params"][0]]["RMS"]  # type: ignore[index]
    assert rate_finding.effective(optimizer, {})["unet"] == pytest.approx(float(size) * 1e-2)
    assert float(parts[0]["params"][0].max()) < 0.2  # type: ignore[index]


def test_prodigys_coupled_decay_is_refused() -> None:
    with pytest.raises(UserError, match=r"prodigyopt\.Prodigy"):
        optimizers.build("Prodigy", "decouple=False weight_decay=0.1", groups(1.0))
    with pytest.raises(UserError, match=r"no 'slice_p'.*prodigyopt\.Prodigy"):
        optimizers.build("Prodigy", "slice_p=11", groups(1.0))
    assert optimizers.arguments("DAdaptLion", "log_every=5 fsdp_in_use=False") == {
        "betas": (0.9, 0.99), "weight_decouple": True}


def test_description_is_the_records() -> None:
    assert optimizers.describe("AdamW", "") == "torch.optim.adamw.AdamW"
    assert optimizers.describe("adamw", "weight_decay=0.1") == "torch.optim.adamw.AdamW(weight_decay=0.1)"


@FUSED_ON_CPU
def test_torchs_own_take_one_call_for_all_factors() -> None:
    """Fused where torch has it; a person's own choice stands, and no other class is meddled with."""
    assert optimizers.build("AdamW", "", groups(1.0)).param_groups[0]["fused"]
    written = optimizers.build("AdamW", "fused=False foreach=True", groups(1.0)).param_groups[0]
    assert not written["fused"] and written["foreach"]
    weight = torch.ones(2)
    assert one_call.flags("torch.optim:RAdam", ["foreach"], [weight]) == {"foreach": True}
    assert one_call.flags("torch.optim:AdamW", ["fused", "foreach"], [weight.to("meta")]) == {"foreach": True}
    assert one_call.flags("pytorch_optimizer:Lion", ["foreach"], [weight]) == {}


@FUSED_ON_CPU
def test_the_forms_of_adamw_agree() -> None:
    values = [learn("AdamW", f"{form}=True", updates=50)[1] for form in ("fused", "foreach")]
    # They differ in the order of operations: some ulps of weights of size 1.
    assert all(torch.allclose(*pair, rtol=0, atol=1e-5) for pair in zip(*values, strict=True))
