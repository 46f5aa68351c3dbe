"""The quick analysis on real hosts: known LoRAs are ranked as they were made, and nothing stays behind."""
from __future__ import annotations

import dataclasses
import random
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.bootstrap import DEMO_CHECKPOINT
from lib_trainer.compare import quick, ranking
from lib_trainer.compare.analysis import Analysis, cost_line, percent, summary
from lib_trainer.compare.block_groups import Group, parse_groups, singles
from lib_trainer.compare.cost import Progress
from lib_trainer.compare.probe import Look, Probe, mixed, split
from lib_trainer.compare.subject import Subject, subject, with_weights
from lib_trainer.errors import UserError
from lib_trainer.host import Host, HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file as lora_file
from lib_trainer.txt2img_host import GenerateRequest
from tests import tiny_families
from tests.compare import known_loras
from tests.told_sizes import told_sizes

T = TypeVar("T")
PROMPT = "1girl, smile, blue background"
SHORT = Look(timesteps=2, noises=1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> StandaloneHost:
    home = tmp_path_factory.mktemp("demo")
    return StandaloneHost(DEMO_CHECKPOINT, HostPaths(*(home / name for name in ("loras", "outputs", "settings", "c"))))


def finish(steps: Generator[Progress, None, T]) -> tuple[list[Progress], T]:
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return told, end.value


def analyse(
    host: Host, about: Subject, keep: float = 0.9, groups: list[Group] | None = None, look: Look | None = None
) -> Analysis:
    with host.borrow_model() as lease:
        found = finish(quick.analyse(lease, about, groups or singles(about.present), keep, look))[1]
    assert found is not None
    return found


def test_a_known_lora_is_ranked_as_it_was_made(demo: StandaloneHost) -> None:
    file = known_loras.write(demo, "known", {"OUT10": 0.1, "IN02": 0.05, "BASE": 0.02, "OUT07": 0.01})
    found = analyse(demo, subject(f"{PROMPT} <lora:known:0.8>", "known", file, "sd15"))
    acting = [one.label for one in found.effects if one.effect > 0]
    assert acting == ["OUT10", "IN02", "BASE", "OUT07"]
    assert [one.label for one in found.effects[4:]] == [
        block for block in found.subject.present if block not in acting]  # those without effect last, in their order
    assert len(found.effects) == 17 and sum(one.share for one in found.effects) == pytest.approx(1)
    assert found.of_block()["OUT10"] == max(found.of_block().values())
    assert found.proposal is not None and found.proposal.labels == tuple(acting[:len(found.proposal.labels)])
    assert found.proposal.kept is not None and found.proposal.kept >= 0.9
    assert "measured together they keep" in summary(found) and "predictions in" in cost_line(found)


def test_one_block_alone_is_the_whole_effect(demo: StandaloneHost) -> None:
    file = known_loras.write(demo, "single", {"OUT09": 0.05})
    found = analyse(demo, subject(PROMPT, "single", file, "sd15"), keep=0.5)
    first = found.effects[0]
    assert (first.label, first.effect, first.share) == ("OUT09", pytest.approx(1), pytest.approx(1))
    assert first.measures == {"without": pytest.approx(1), "only": pytest.approx(1)}
    assert found.proposal is not None and found.proposal.kept == pytest.approx(1)
    assert found.prompt == f"{PROMPT} <lora:single:1:lbw={found.proposal.weights}>"


def test_a_proposal_of_all_draws_the_same_picture(demo: StandaloneHost) -> None:
    file = known_loras.write(demo, "pair", {"OUT08": 0.05, "IN01": 0.05})
    prompt = f"{PROMPT} <lora:pair:1>"
    found = analyse(demo, subject(prompt, "pair", file, "sd15"), keep=1.0)
    assert found.proposal is not None and set(found.proposal.labels) == {"OUT08", "IN01"} and found.proposal.kept == 1.0
    pictures = [demo.generate(GenerateRequest(text, seed=3, steps=4))[0].image for text in (
        prompt, found.prompt, with_weights(prompt, "pair", "0"))]
    assert np.array_equal(np.asarray(pictures[0]), np.asarray(pictures[1]))
    assert not np.array_equal(np.asarray(pictures[0]), np.asarray(pictures[2]))


def test_the_same_seed_tells_the_same_and_pictures_can_be_looked_at(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 0.5, "IN02": 0.5})
    about = subject(PROMPT, "known", file, "sd15")
    groups = singles(("IN02", "OUT10"))
    numbers = [[one.effect for one in analyse(host, about, groups=groups, look=look).effects] for look in (
        SHORT, SHORT, dataclasses.replace(SHORT, seed=2),
        dataclasses.replace(SHORT, pictures=torch.zeros(1, 3, 64, 64), noises=3))]
    assert numbers[0] == numbers[1] and numbers[0] != numbers[2] != numbers[3]


def test_nothing_stays_on_the_model_and_no_random_number_is_taken(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 0.5, "BASE": 0.5})
    about = subject(PROMPT, "known", file, "sd15")
    before = {name: value.clone() for name, value in host._loaded.unet.state_dict().items()}
    request = GenerateRequest(PROMPT, seed=3, steps=2)
    picture = np.asarray(host.generate(request)[0].image)
    states = random.getstate(), torch.get_rng_state(), str(np.random.get_state())
    with host.borrow_model() as lease:
        steps = quick.analyse(lease, about, singles(("OUT10", "BASE")), 0.9, SHORT)
        next(steps)
        assert not host._lock._held  # a generation gets in between two predictions
        assert np.array_equal(np.asarray(host.generate(request)[0].image), picture)
        states = random.getstate(), torch.get_rng_state(), str(np.random.get_state())
        finish(steps)
    assert states[0] == random.getstate() and torch.equal(states[1], torch.get_rng_state())
    assert states[2] == str(np.random.get_state())
    assert not any(module._forward_hooks for module in host._loaded.modules)
    assert all(torch.equal(value, before[name]) for name, value in host._loaded.unet.state_dict().items())
    assert np.array_equal(np.asarray(host.generate(request)[0].image), picture)


def test_progress_and_cost_agree(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 0.5})
    about = subject(PROMPT, "known", file, "sd15")
    groups, _ = parse_groups("BASE,OUT10,OUT11 M00", "sd15", about.present)
    with host.borrow_model() as lease:
        told, found = finish(quick.analyse(lease, about, groups, 1.0, SHORT))
    assert found is not None and found.measurements == quick.cost(groups).count == 2 + 2 * 3 + 1
    assert [step.done for step in told] == [*range(1, 10)] and told[-1].left == 0 < told[0].left
    assert quick.cost(groups, 0.5).seconds == 4.5


def test_a_lora_without_effect_proposes_nothing(host: StandaloneHost) -> None:
    file = known_loras.write(host, "nothing", {})
    found = analyse(host, subject(PROMPT, "nothing", file, "sd15"), look=SHORT)
    assert found.proposal is None and found.effects[0].effect == 0 and summary(found) == ""
    assert any("nothing to propose" in sentence for sentence in found.told)


def test_sdxl_is_told_sizes_and_ranked_over_its_own_blocks(host: StandaloneHost, tmp_path: Path) -> None:
    sdxl = StandaloneHost(tiny_families.write(tmp_path, "sdxl"), host.paths)
    file = known_loras.write(sdxl, "known", {"OUT04": 0.5, "BASE": 0.5})
    with told_sizes(sdxl) as sizes:
        found = analyse(sdxl, subject(PROMPT, "known", file, "sdxl"))
    assert {one.label for one in found.effects if one.effect > 0} == {"OUT04", "BASE"}
    assert found.proposal is not None and found.proposal.weights.count(",") in (11, 19)
    assert sizes and set(map(tuple, sizes)) == {(64.0, 64.0, 0.0, 0.0, 64.0, 64.0)}


def test_what_no_number_reaches_is_told(host: StandaloneHost) -> None:
    file = known_loras.write(host, "outside", {"OUT10": 0.5}, conv_rank=2)
    tensors = dict(lora_file.load(file).tensors)
    tensors["lora_unet_time_embedding_linear_3.lora_up.weight"] = torch.ones(4, 1)
    lora_file.save(file, tensors, {}, overwrite=True)
    about = subject(PROMPT, "outside", file, "sd15")
    found = analyse(host, about, groups=singles(("OUT10", "IN00")), look=SHORT)
    assert about.loose == 1 and any("1 of the LoRA's layers lie in no block" in sentence for sentence in found.told)
    assert any("lora_unet_time_embedding_linear_3.lora_up.weight" in sentence for sentence in found.told)
    assert [one.effect > 0 for one in found.effects] == [True, False]


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_a_prediction_splits_into_what_was_mixed(prediction: str) -> None:
    clean, noise = torch.randn(2, 1, 4, 2, 2, generator=torch.Generator().manual_seed(1))
    alpha = torch.tensor(0.3)
    said = noise if prediction == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    found = split(prediction, mixed(clean, noise, alpha), said, alpha)
    torch.testing.assert_close(torch.cat(found), torch.cat([clean, noise]))


def test_many_latents_go_through_in_pieces(host: StandaloneHost, monkeypatch: pytest.MonkeyPatch) -> None:
    file = known_loras.write(host, "known", {"OUT10": 0.5})
    about = subject(PROMPT, "known", file, "sd15")
    with host.borrow_model() as lease:
        whole = Probe(lease, about, SHORT).predict({})
        monkeypatch.setattr("lib_trainer.compare.probe._AT_ONCE", 64)
        pieces = Probe(lease, about, SHORT).predict({})
    torch.testing.assert_close(whole, pieces, rtol=1e-3, atol=1e-4)  # a batch of another size adds up otherwise


def test_what_cannot_be_analysed_is_told(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 0.5})
    with pytest.raises(UserError, match="strength 0"):
        subject("<lora:known:0>", "known", file, "sd15")
    with pytest.raises(UserError, match="at most 1"):
        analyse(host, subject(PROMPT, "known", file, "sd15"), keep=2)
    with pytest.raises(UserError, match="Cannot read"):
        subject(PROMPT, "gone", file.with_name("gone.safetensors"), "sd15")


def test_what_the_tag_says_besides_is_told(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 0.5})
    about = subject("a <lora:known:0.5:lbw=NCNF:lbwe=X:start=3> <lora:known:0.25> <lora:b:1>", "known", file, "sd15")
    assert (about.strengths.te, about.strengths.unet) == (0.75, 0.75)
    assert "block weights and elemental rules" in about.told[0]
    prompt = about.change(dict.fromkeys(ARCH_BLOCKS["sd15"], 0.5))(about.prompt)
    assert prompt == "a <lora:known:0.5:lbw=0.5:start=3> <lora:known:0.25:lbw=0.5> <lora:b:1>"
    found = analyse(host, about, groups=singles(("OUT10",)), look=SHORT)
    assert any("other LoRAs (b)" in sentence for sentence in found.told)
    assert ranking.KEEP == 0.9 and percent(0.99996) == "99.9 %" and percent(1) == "100 %"
