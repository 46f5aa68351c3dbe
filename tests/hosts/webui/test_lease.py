"""Turns on a WebUI's model: the queue lock taken fairly, the leased checkpoint or none, another base and back."""
from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.hosts.webui.host import WebUIHost
from lib_trainer.hosts.webui.lock import queue_lock, waiting_for
from tests.hosts.webui.conftest import Person


def test_a_turn_holds_the_hosts_lock(host: WebUIHost) -> None:
    from modules import call_queue

    with host.borrow_model() as lease:
        assert call_queue.queue_lock.acquire(blocking=False)
        call_queue.queue_lock.release()
        with lease.turn():
            assert not call_queue.queue_lock.acquire(blocking=False)
    assert call_queue.queue_lock.acquire(blocking=False)


def test_whoever_waits_gets_in_after_one_turn(person: Person, host: WebUIHost) -> None:
    """Also when its thread needs a moment to wake up: the lock alone would serve the next turn first."""
    from modules import call_queue

    turns: list[int] = []
    waited: list[int] = []

    def generations() -> None:
        for _ in range(20):
            while not turns:
                threading.Event().wait(0.001)
            before = len(turns)
            with call_queue.queue_lock:
                waited.append(len(turns) - before)

    with host.borrow_model() as lease:
        thread = threading.Thread(target=generations)
        thread.start()
        deadline = time.monotonic() + 60
        while thread.is_alive() and time.monotonic() < deadline:
            with lease.turn():
                turns.append(1)
        thread.join(timeout=60)
    assert len(waited) == 20 and max(waited) <= 1


def test_the_one_who_waits_longest_is_first(person: Person) -> None:
    from modules import call_queue

    order: list[int] = []

    def wait(number: int) -> None:
        with queue_lock():
            order.append(number)

    with queue_lock():
        threads = []
        for number in range(4):
            threads.append(threading.Thread(target=wait, args=(number,)))
            threads[-1].start()
            while waiting_for(call_queue.queue_lock) <= number:
                threading.Event().wait(0.001)
    for thread in threads:
        thread.join(timeout=60)
    assert order == [0, 1, 2, 3]


def test_another_checkpoint_pauses_until_the_leased_one_is_back(person: Person, host: WebUIHost) -> None:
    with host.borrow_model() as lease:
        person.choose(1)
        with pytest.raises(ModelChanged, match=r"from 'first.safetensors' to 'other.safetensors'. Load 'first"), \
                lease.turn():
            pass
        assert person.draw()
        person.choose(0)
        with lease.turn() as model:
            assert model.checkpoint.name == "first.safetensors"


def test_no_checkpoint_at_all_pauses_too(person: Person, host: WebUIHost) -> None:
    from modules import sd_models
    from modules.shared import opts

    with host.borrow_model() as lease:
        sd_models.model_data.set_sd_model(None)
        opts.sd_model_checkpoint = None
        with pytest.raises(ModelChanged, match=r"changed from 'first.safetensors'\. Load"), lease.turn():
            pass


def test_a_checkpoint_of_one_picture_only_is_taken_back_for_the_turn(person: Person, host: WebUIHost) -> None:
    """An API request with `override_settings` leaves its checkpoint loaded, while the selected one is ours."""
    with host.borrow_model() as lease:
        person.draw(override_settings={"sd_model_checkpoint": "other.safetensors"})
        assert host.checkpoint().name == "other.safetensors"
        with lease.turn() as model:
            assert model.checkpoint.name == "first.safetensors"


def test_nothing_loaded_cannot_be_borrowed(person: Person, host: WebUIHost) -> None:
    from modules import sd_models

    sd_models.model_data.set_sd_model(None)
    with pytest.raises(UserError, match="No checkpoint"), host.borrow_model():
        pass
    person.choose(0)
    assert person.draw()


def test_another_base_and_back(person: Person, host: WebUIHost) -> None:
    before = person.draw()
    with host.borrow_model(person.files[1]) as lease, lease.turn() as model:
        assert model.checkpoint.name == "other.safetensors"
    assert host.checkpoint().name == "first.safetensors"
    assert person.draw() == before


def test_an_unusable_base_leaves_the_loaded_one(person: Person, host: WebUIHost, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not in the list"), host.borrow_model(tmp_path / "none.safetensors"):
        pass
    assert host.checkpoint().name == "first.safetensors" and person.draw()


def test_what_cannot_be_loaded_again_is_told_with_what_went_wrong(person: Person, host: WebUIHost) -> None:
    from modules import sd_models

    told = "The disk is full. 'first.safetensors' was loaded before the training and could not be loaded again"
    with pytest.raises(UserError, match=told), host.borrow_model(person.files[1]):
        del sd_models.checkpoints_list["first.safetensors"]
        raise UserError("The disk is full.")
    assert host.checkpoint().name == "other.safetensors"


def test_a_base_is_described_without_being_loaded(person: Person, host: WebUIHost, tmp_path: Path) -> None:
    told = host.checkpoint(person.files[1])
    assert (told.name, told.family.name, told.resolution, told.prediction) == (
        "other.safetensors", "sd1", 64, "epsilon")
    assert host.checkpoint().name == "first.safetensors"
    with pytest.raises(UserError, match=r"no checkpoint file .*gone\.safetensors"):
        host.checkpoint(tmp_path / "gone.safetensors")
    assert [path.name for path in host.checkpoints()] == ["first.safetensors", "other.safetensors"]
