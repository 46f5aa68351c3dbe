"""The analysis of blocks on every host: known LoRAs are ranked as they were made, and the host is as it was found."""
from __future__ import annotations

import pytest
import torch

from lib_trainer.compare import picture_run, quick
from lib_trainer.compare.block_groups import singles
from lib_trainer.compare.picture_run import Drawing
from lib_trainer.compare.pictures import Settings
from lib_trainer.compare.probe import Look
from lib_trainer.compare.subject import Subject, subject
from lib_trainer.host_model import PreviewRequest
from tests.compare import known_loras
from tests.compare.test_quick import finish
from tests.contract.cases import HostCase

GROUPS = singles(("BASE", "IN02", "OUT04", "OUT07"))


@pytest.fixture
def about(case: HostCase) -> Subject:
    arch = case.host.checkpoint().family.arch
    file = known_loras.write(case.host, "analysed", {"OUT07": 1.0, "BASE": 0.05})
    case.host.lora_saved(file)
    return subject("a cat <lora:analysed:0.8>", "analysed", file, arch)


def test_predictions_rank_the_blocks(case: HostCase, about: Subject) -> None:
    drawn = case.settled()
    before = [{name: value.clone() for name, value in network.state_dict().items()} for network in case.networks()]
    with case.host.borrow_model() as lease:
        steps = quick.analyse(lease, about, GROUPS, 0.9, Look(timesteps=2, noises=1))
        next(steps)
        assert case.draw() == drawn, "a generation gets in between two predictions"
        states = torch.get_rng_state()
        _, found = finish(steps)
    assert torch.equal(states, torch.get_rng_state())
    assert found is not None and {one.label for one in found.effects if one.effect > 0} == {"OUT07", "BASE"}
    assert found.proposal is not None and found.proposal.kept is not None and found.proposal.kept >= 0.9
    assert not any(module._forward_hooks for network in case.networks() for module in network.modules())
    for network, kept in zip(case.networks(), before, strict=True):
        assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    assert case.draw() == drawn


def test_pictures_rank_the_blocks(case: HostCase, about: Subject) -> None:
    drawn = case.draw()
    with case.host.borrow_model() as lease:
        drawing = Drawing(lease, PreviewRequest("", steps=2, cfg=4.0))
        _, found = finish(picture_run.analyse(drawing, about, GROUPS[:3], Settings(low=0.0), 3, 0.9))
        _, other = finish(picture_run.analyse(drawing, about, GROUPS[3:], Settings(low=0.0), 3, 0.9))
    assert {one.label for one in found.analysis.effects if one.effect > 0} <= {"BASE"}
    assert other.analysis.effects[0].effect > 0 and not other.analysis.told
    assert case.draw() == drawn
