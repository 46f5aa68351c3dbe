"""A training among the host's own jobs: shown, interrupted, taken over by a generation and given back."""
from __future__ import annotations

import pytest

from lib_trainer.host_model import PreviewRequest
from lib_trainer.hosts.webui.host import WebUIHost
from tests.hosts.webui.conftest import Person


def test_the_job_is_shown_with_its_progress(person: Person, host: WebUIHost) -> None:
    from modules import shared

    with host.borrow_model() as lease, host.job("zunko") as display:
        display.show(30, 100, "steps: 30%")
        began = shared.state.time_start
        with lease.turn():
            state = shared.state
            assert (state.job, state.job_no, state.job_count) == ("zunko", 0, 1)
            assert (state.sampling_step, state.sampling_steps, state.textinfo) == (30, 100, "steps: 30%")
        assert shared.state.job and shared.state.time_start == began
    assert (shared.state.job, shared.state.job_count, shared.state.textinfo) == ("", 0, None)


def test_progress_is_seen_at_once_while_the_lock_is_free_and_later_else(person: Person, host: WebUIHost) -> None:
    from modules import call_queue, shared

    with host.borrow_model() as lease, host.job("zunko") as display:
        display.show(1, 10, "one")
        assert shared.state.sampling_step == 1
        with call_queue.queue_lock:
            display.show(2, 10, "two")
            assert shared.state.sampling_step == 1
        with lease.turn():
            assert shared.state.sampling_step == 2


def test_a_generation_takes_the_state_over_and_gives_it_back(person: Person, host: WebUIHost) -> None:
    from modules import call_queue, shared

    with host.borrow_model() as lease, host.job("zunko") as display:
        display.show(5, 10, "five")
        began = shared.state.time_start
        with call_queue.queue_lock:
            shared.state.begin(job="txt2img")
            shared.state.interrupt()
            assert not display.stop_asked(), "the generation's own Interrupt"
            shared.state.end()
        with lease.turn():
            assert shared.state.job == "zunko" and shared.state.sampling_step == 5
            assert shared.state.time_start == began and not shared.state.interrupted
        assert not display.stop_asked()


def test_a_job_that_ends_during_a_generation_leaves_the_generations_job(person: Person, host: WebUIHost) -> None:
    from modules import call_queue, shared

    with host.job("zunko"), call_queue.queue_lock:
        shared.state.begin(job="txt2img")
    assert shared.state.job == "txt2img"


@pytest.mark.parametrize("pressed", ["interrupt", "stop_generating"])
def test_interrupt_asks_the_training_to_stop_once(person: Person, host: WebUIHost, pressed: str) -> None:
    from modules import shared

    with host.borrow_model() as lease, host.job("zunko") as display:
        with lease.turn():
            getattr(shared.state, pressed)()
        assert not shared.state.interrupted and not shared.state.stopping_generation
        person.draw()  # whose own begin() clears the buttons
        assert display.stop_asked() and not display.stop_asked()


def test_skip_does_not_stop_the_training(person: Person, host: WebUIHost) -> None:
    from modules import shared

    with host.borrow_model() as lease, host.job("zunko") as display:
        with lease.turn():
            shared.state.skip()
            assert not display.stop_asked()
        assert not shared.state.skipped and not display.stop_asked()


def test_looking_at_the_buttons_leaves_them_to_the_picture_being_drawn(person: Person, host: WebUIHost) -> None:
    """The page looks several times a second, from its own threads."""
    from modules import shared

    with host.borrow_model() as lease, host.job("zunko") as display:
        with lease.turn():
            shared.state.skip()
            shared.state.interrupt()
            assert display.stop_asked() and not display.stop_asked()
            assert shared.state.skipped and shared.state.interrupted
        assert not shared.state.interrupted and not display.stop_asked()
        with lease.turn():
            shared.state.interrupt()
        assert display.stop_asked()


def test_reload_ui_interrupts_generations_but_spares_the_training(person: Person, host: WebUIHost) -> None:
    from modules import call_queue, shared

    host.page_begins()
    host.page_begins()
    with host.borrow_model() as lease, host.job("zunko") as display:
        with lease.turn():
            shared.state.request_restart()
        assert shared.state.server_command == "restart" and not display.stop_asked()
        shared.state.interrupt()
        assert display.stop_asked()
        with call_queue.queue_lock:
            shared.state.begin(job="txt2img")
            shared.state.request_restart()
            assert shared.state.interrupted


def test_the_state_is_clean_after_an_accident(person: Person, host: WebUIHost) -> None:
    from modules import shared

    with pytest.raises(MemoryError), host.borrow_model() as lease, host.job("zunko"), lease.turn():
        raise MemoryError
    assert shared.state.job == "" and shared.state.job_count == 0
    assert person.draw()


def test_a_preview_without_a_job_is_a_job_of_its_own(person: Person, host: WebUIHost) -> None:
    from modules import shared

    with host.borrow_model() as lease, lease.turn() as model:
        model.preview(PreviewRequest("a cat", steps=2))
        assert shared.state.job == "" and shared.state.current_latent is None
