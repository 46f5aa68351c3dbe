"""LoRA tags in generation, with the real backends of the WebUIs over doubles of their programs."""
from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from lib_trainer.blocks.recorded import FAULTS_FIELD, FIELD
from lib_trainer.host import Host
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.network import create
from tests.contract.case import HostCase
from tests.hosts.webui.generation import WEBUIS, Drawn, distance, draw, network, with_loras

ZEROS = ",".join("0" * 16)


@pytest.fixture(scope="module", params=WEBUIS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCase]:
    with with_loras(request.param, tmp_path_factory.mktemp(request.param)) as case:
        yield case


@pytest.fixture
def host(case: HostCase) -> Iterator[Host]:
    presets = case.host.paths.settings / "lbwpresets.txt"
    case.host.presets()
    before = presets.read_text(encoding="utf8")
    yield case.host
    presets.write_text(before, encoding="utf8")


def close(case: HostCase, one: Drawn, other: Drawn) -> bool:
    """Whether two pictures are the same but for the rounding of numbers that are equal on paper only."""
    return distance(one, other) <= case.levels


def test_every_spelling_is_the_same_picture(case: HostCase) -> None:
    part = draw("a cat<lora:one:0.8:OUTALL>")
    assert not close(case, part, draw("a cat<lora:one:0.8>"))
    assert not close(case, part, draw())
    numbers = ",".join(["1"] + ["0"] * 7 + ["1"] * 9)
    for kind, arguments in (
        ("lora", "0.8:lbw=OUTALL"), ("lora", "lbw=OUTALL:te=0.8"), ("lora", "0.8:0.8:outall"), ("lyco", "0.8:OUTALL"),
        ("lora", f"0.8:{numbers}"), ("lora", f"0.8:w={numbers}"), ("lora", f"0.8:lbw={numbers.replace('1', 'X')}"),
    ):
        tag = f"{kind}:one:{arguments}"
        assert draw(f"a cat<{tag}>").pixels == part.pixels, tag


def test_nothing_everything_and_half(case: HostCase) -> None:
    assert draw("a cat<lora:one:0.8:NONE>").pixels == draw().pixels
    assert draw("a cat<lora:one:0.8:lbw=0>").pixels == draw().pixels
    assert draw("a cat<lora:one:0.8:lbw=1>").pixels == draw("a cat<lora:one:0.8>").pixels
    assert close(case, draw("a cat<lora:one:0.8:lbw=0.5>"), draw("a cat<lora:one:0.4>"))
    assert close(case, draw("a cat<lora:one:0.5:lbw=-1>"), draw("a cat<lora:one:-0.5>"))


def test_each_lora_keeps_its_own_weights(case: HostCase) -> None:
    first, second = "<lora:picture:1:INS>", "<lora:one:0.9:OUTALL>"
    both = draw("a cat" + first + second)
    assert close(case, both, draw("a cat" + second + first))
    assert close(case, draw(f"a cat<lora:picture:1:NONE>{second}"), draw("a cat" + second))
    assert not close(case, both, draw("a cat<lora:picture:1:OUTALL><lora:one:0.9:INS>"))
    assert close(case, draw("a cat<lora:two:0.5>" + second), draw(f"a cat{second}<lora:two:0.5>"))


def test_weights_that_change_places_are_another_picture(case: HostCase) -> None:
    """Both LoRAs have the same layers at the same strength, so their numbers alone tell nothing."""
    first = draw("a cat<lora:one:0.8:OUTALL><lora:two:0.8:NONE>")
    second = draw("a cat<lora:one:0.8:NONE><lora:two:0.8:OUTALL>")
    assert close(case, first, draw("a cat<lora:one:0.8:OUTALL>"))
    assert close(case, second, draw("a cat<lora:two:0.8:OUTALL>"))


def test_a_lora_named_twice_adds_up(case: HostCase) -> None:
    twice = draw("a cat<lora:one:0.4:INS><lora:one:0.4:OUTALL>")
    assert close(case, twice, draw("a cat<lora:one:0.4:lbw=2,1,1,1,0,0,0,0,1,1,1,1,1,1,1,1,1>"))
    assert close(case, draw("a cat<lora:one:0.3:INS><lora:one:0.3>"),
                 draw("a cat<lora:one:0.3:lbw=2,1,2,2,1,2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1>"))


def test_text_states_follow_the_numbers_and_nothing_else(host: Host, case: HostCase) -> None:
    """The prompt's text stays the same, which is all that the hosts look at by themselves."""
    presets = host.paths.settings / "lbwpresets.txt"

    def with_base(number: str) -> Drawn:
        presets.write_text(f"MINE:{number},{ZEROS}\n", encoding="utf8")
        return draw("a cat<lora:one:1:MINE>")

    full, off = with_base("1"), with_base("0")
    assert off.pixels == draw().pixels != full.pixels
    assert with_base("1").pixels == full.pixels


def test_text_states_follow_the_rules(host: Host, case: HostCase) -> None:
    """Only the rule behind the name changes, and only that of the text encoder."""
    rules = host.paths.settings / "elempresets.txt"
    host.elements()
    before = rules.read_text(encoding="utf8")

    def with_rule(rule: str) -> Drawn:
        rules.write_text(f"MINE:{rule}\n", encoding="utf8")
        return draw("a cat<lora:one:1:lbw=1:lbwe=MINE>")

    try:
        full, off = with_rule("BASE::1"), with_rule("BASE::0")
        assert full.pixels == draw("a cat<lora:one:1>").pixels != off.pixels
        assert close(case, off, draw("a cat<lora:one:1:lbw=BASE@0>"))
        assert with_rule("NOT BASE::1").pixels == full.pixels
    finally:
        rules.write_text(before, encoding="utf8")


def test_drawn_weights_depend_on_the_seed_alone(case: HostCase) -> None:
    tag = f"a cat<lora:one:1:lbw=R,{','.join('U' * 16)}>"
    first, other = draw(tag), draw(tag, seed=4)
    assert first.pixels == draw(tag).pixels and first.parameters[FIELD] == draw(tag).parameters[FIELD]
    assert first.parameters[FIELD] != other.parameters[FIELD]
    numbers = first.parameters[FIELD].partition(": ")[2].rpartition("=")[2]
    assert close(case, first, draw(f"a cat<lora:one:1:lbw={numbers}>"))
    hires = draw(tag, enable_hr=True)
    assert hires.parameters[FIELD] == first.parameters[FIELD] and f"Hires {FIELD}" not in hires.parameters


@pytest.mark.parametrize(("tag", "sentence"), [
    (":0.8:NCNG", "did you mean 'NCNF'"), (":0.8:lbw=1,2,3", "got 3"), (":0.8:lbw=1,a,0", "got 3"),
    (":0.8:" + ",".join("a" * 17), "'a' is not a number"), (":0.8::", "nothing between two colons"),
])
def test_a_mistake_is_told_and_the_lora_acts_plainly(case: HostCase, tag: str, sentence: str) -> None:
    drawn = draw(f"a cat<lora:one{tag}><lora:two:0.5>")
    assert drawn.pixels == draw("a cat<lora:one:0.8><lora:two:0.5>").pixels
    assert any(sentence in comment for comment in drawn.comments), drawn.comments
    assert FIELD not in drawn.parameters
    assert sentence in drawn.parameters[FAULTS_FIELD]


def test_an_unknown_lora_does_not_take_the_others_with_it(case: HostCase) -> None:
    for tag in ("<lora:oen:0.8:NCNF>", "<lora:oen:0.8>", "<lora:lbw=NCNF>"):
        drawn = draw(f"a cat{tag}<lora:two:0.5>")
        assert drawn.pixels == draw("a cat<lora:two:0.5>").pixels, tag
        assert drawn.comments and FIELD not in drawn.parameters, tag


def test_the_numbers_are_in_the_parameters(case: HostCase) -> None:
    drawn = draw("a cat<lora:one:0.8:OUTD><lora:two:1><lora:picture:1:lbw=0.5>")
    assert drawn.parameters[FIELD] == "one: OUTD=1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0; picture: 0.5"
    assert FIELD not in draw("a cat<lora:one:0.8>").parameters
    assert not drawn.comments


def test_the_training_tag_without_a_training_is_told(case: HostCase) -> None:
    drawn = draw("a cat<lora:__training__:0.8:OUTD><lora:two:0.5>")
    assert drawn.pixels == draw("a cat<lora:two:0.5>").pixels
    assert any("No training is running" in comment for comment in drawn.comments)


def test_the_training_tag_takes_block_weights(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = network(model, 1)
    with case.host.live(made):
        for tag in ("0.8:OUTALL", "0.8", "0.8:lbw=0.5", "1:NONE"):
            live, file = draw(f"a cat<lora:__training__:{tag}>"), draw(f"a cat<lora:one:{tag}>")
            assert distance(live, file) <= case.levels + 3, tag  # as strong a LoRA as none is: rounding shows
        twice = draw("a cat<lora:__training__:0.4:INS><lora:__training__:0.4:OUTALL>")
        assert distance(twice, draw("a cat<lora:one:0.4:INS><lora:one:0.4:OUTALL>")) <= case.levels + 3
        assert not made.is_attached


@pytest.mark.parametrize("algorithm", ["loha", "full", "oft"])
def test_the_training_tag_draws_with_every_kind(case: HostCase, algorithm: str) -> None:
    """With norms and what is outside the blocks, and with kinds that depend on the model's own weights."""
    spec = NetworkSpec(2, 2.0, 2, 2.0, algorithm=algorithm, layers="full", norms=True)
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = create([*model.targets(), *model.other_targets()], spec, model.checkpoint.family, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in made.layers.values():
            for factor in layer.parameters():
                factor.add_(torch.randn(factor.shape, generator=generator) * 0.05)
    assert any("norm" in name for name in made.layers)
    plain = draw()
    with case.host.live(made):
        assert distance(draw("a cat<lora:__training__:1>"), plain) > case.levels
        assert draw("a cat<lora:__training__:0>").pixels == plain.pixels
    assert draw().pixels == plain.pixels


def test_a_generation_that_dies_leaves_nothing_for_the_next(case: HostCase, monkeypatch: pytest.MonkeyPatch) -> None:
    from modules import shared

    plain, weighted = draw(), draw("a cat<lora:one:0.8:OUTALL>")
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = network(model, 1)
    with case.host.live(made):
        with monkeypatch.context() as broken:
            broken.setattr(type(shared.sd_model), "paint", _die)
            with pytest.raises(RuntimeError, match="out of memory"):
                draw("a cat<lora:one:0.8:OUTALL><lora:__training__:1>")
        assert made.is_attached, "nothing has told us yet that the picture died"
        with case.host.borrow_model() as lease, lease.turn():
            assert not made.is_attached
        assert draw().pixels == plain.pixels
    assert draw("a cat<lora:one:0.8:OUTALL>").pixels == weighted.pixels


def _die(*args: object) -> None:
    raise RuntimeError("out of memory")
