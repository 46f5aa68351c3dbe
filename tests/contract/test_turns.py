"""Turns: one at a time, in the order of asking, on the model that was leased or not at all."""
from __future__ import annotations

import threading
import time

import pytest

from lib_trainer.errors import ModelChanged, UserError
from tests.contract.cases import HostCase


def test_a_waiting_generation_gets_in_between_two_turns(case: HostCase) -> None:
    pictures: list[bytes] = []
    person = threading.Thread(target=lambda: pictures.append(case.draw()))
    with case.host.borrow_model() as lease:
        with lease.turn():
            person.start()
            deadline = time.monotonic() + 60
            while case.waiting() == 0 and time.monotonic() < deadline:
                threading.Event().wait(0.001)
            assert case.waiting() == 1 and not pictures
        with lease.turn():  # asked for after the person did: comes after the picture
            person.join(timeout=60)
            assert len(pictures) == 1


def test_another_checkpoint_ends_the_turns_until_the_first_is_back(case: HostCase) -> None:
    with case.host.borrow_model() as lease:
        with lease.turn() as model:
            name = model.checkpoint.name
        case.load_checkpoint(first=False)
        try:
            with pytest.raises(ModelChanged, match=name), lease.turn():
                pass
        finally:
            case.load_checkpoint(first=True)
        with lease.turn() as model:
            assert model.checkpoint.name == name


def test_a_refused_turn_leaves_the_lock_free(case: HostCase) -> None:
    with case.host.borrow_model() as lease:
        case.load_checkpoint(first=False)
        try:
            with pytest.raises(ModelChanged), lease.turn():
                pass
            assert case.draw()
        finally:
            case.load_checkpoint(first=True)


def test_a_closed_lease_gives_no_turn(case: HostCase) -> None:
    with case.host.borrow_model() as lease:
        pass
    with pytest.raises(UserError, match="closed"), lease.turn():
        pass


def test_paths_exist(case: HostCase) -> None:
    paths = case.host.paths
    assert all(folder.is_dir() for folder in (paths.loras, paths.outputs, paths.settings, paths.cache))
