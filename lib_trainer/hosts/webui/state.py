"""A training as a job of the host: its progress, and its Interrupt and Skip buttons, through `shared.state`.

The state belongs to whoever holds the queue lock, so it is touched under the lock only. A generation between two turns
takes it over (`State.begin`) and clears it (`State.end`); our next turn shows the training again. Nobody else's job is
ever ended, and the training's own is never left standing.
"""
from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lib_trainer.hosts.webui.lock import queue_lock, queue_lock_if_free

_PREVIEW = "Train LoRA preview"
"""The job's name while a picture is drawn without a training's being shown."""


@dataclass
class _Shown:
    """What the host shows of the training.

    Attributes:
        job: name of the job; tells it from the host's own.
        began: Unix seconds of the present phase's beginning, from which the host reckons the time that is left.
        done, total: steps of the phase. text: the line beneath the progress.
        stop: whether Interrupt was pressed and not yet told. told: whether it was told while the host's flag stayed up.
        reloading: whether the host's flag is up for a "Reload UI" only.
    """

    job: str
    began: float
    done: int = 0
    total: int = 0
    text: str = ""
    stop: bool = False
    told: bool = False
    reloading: bool = False


class StateDisplay:
    """`JobDisplay` through `shared.state`."""

    def __init__(self) -> None:
        self._shown: _Shown | None = None

    @contextmanager
    def job(self, title: str) -> Iterator[StateDisplay]:
        """While open, the host shows a job of this title; ended on every way out."""
        self._shown = _Shown(title, time.time())
        self._show_if_free()
        try:
            yield self
        finally:
            shown, self._shown = self._shown, None
            _end(shown.job)

    def outlive_reloads(self) -> None:
        """Has the host's "Reload UI" spare the training: it interrupts whatever runs, but builds only the page anew.

        Called before each page is built, which gives this function to its button. The host has no callback for it: its
        own come when the interrupt has long been seen.
        """
        state = _state()
        request = state.request_restart
        if getattr(request, "spares_training", False):
            return

        @functools.wraps(request)
        def request_restart() -> None:
            shown = self._shown
            if shown is None or state.job != shown.job:
                request()
                return
            shown.reloading = True
            try:
                request()
            finally:
                state.interrupted = False
                shown.reloading = False

        request_restart.spares_training = True  # type: ignore[attr-defined]
        state.request_restart = request_restart

    def show(self, done: int, total: int, text: str) -> None:
        """Says how far the training is; seen at once while nobody uses the model, else from the next turn on."""
        if self._shown is None:
            return
        if total != self._shown.total:
            self._shown.began = time.time()
        self._shown.done, self._shown.total, self._shown.text = done, total, text
        self._show_if_free()

    def _show_if_free(self) -> None:
        with queue_lock_if_free() as held:
            if held and self._shown:
                _collect(self._shown)
                _show(self._shown)

    def stop_asked(self) -> bool:
        """Returns whether the person pressed Interrupt while the training was what the host showed.

        May be asked from any thread; a picture that is being drawn still sees the button and ends.
        """
        shown = self._shown
        if shown is None:
            return False
        with queue_lock_if_free() as held:
            if held:
                _collect(shown)
            elif _is_pressed(shown) and not shown.told:
                shown.told = shown.stop = True
        asked, shown.stop = shown.stop, False
        return asked

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Under the lock: shows the training, and takes what is pressed meanwhile."""
        shown = self._shown
        if shown is None:
            yield
            return
        _collect(shown)
        _show(shown)
        try:
            yield
        finally:
            _collect(shown)

    @contextmanager
    def picture(self) -> Iterator[None]:
        """Inside a turn: the progress is that of a picture, and what the sampler leaves in the state is cleared."""
        state = _state()
        if self._shown is None:
            state.begin(job=_PREVIEW)
        else:
            _collect(self._shown)
            _show_picture(self._shown)
        try:
            yield
        finally:
            state.current_latent = None
            state.current_image_sampling_step = 0
            if self._shown is None:
                state.end()
            else:
                _collect(self._shown)
                _show(self._shown)


def _state() -> Any:
    from modules import shared

    return shared.state


def _is_pressed(shown: _Shown) -> bool:
    state = _state()
    pressed = state.job == shown.job and (state.interrupted or state.stopping_generation)
    return bool(pressed and not shown.reloading)


def _collect(shown: _Shown) -> None:
    """Under the lock: takes the buttons that were pressed for our job; those pressed for a generation are its own."""
    state = _state()
    shown.stop = shown.stop or (_is_pressed(shown) and not shown.told)
    shown.told = False
    if state.job == shown.job:
        state.interrupted = state.stopping_generation = state.skipped = False


def _show(shown: _Shown) -> None:
    """Under the lock: makes the training the host's job, again when a generation had taken over.

    It is one job of many sampling steps, so that the host reckons progress and remaining time as it does for a picture.
    """
    state = _state()
    if state.job != shown.job:
        state.begin(job=shown.job)
    state.time_start = shown.began
    state.job_no, state.job_count = 0, 1
    state.sampling_step, state.sampling_steps = shown.done, shown.total
    state.textinfo = shown.text


def _show_picture(shown: _Shown) -> None:
    state = _state()
    state.time_start = time.time()
    state.job_no, state.job_count, state.processing_has_refined_job_count = 0, -1, False
    state.sampling_step = state.sampling_steps = 0
    state.textinfo = f"Preview. {shown.text}".strip()


def _end(job: str) -> None:
    """Ends the job where it is still ours: a generation that holds the lock has its own by then."""
    if _state().job != job:
        return
    with queue_lock():
        if _state().job == job:
            _state().end()
            _state().textinfo = None
