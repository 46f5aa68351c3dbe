"""The host's queue lock, taken so that nobody starves.

The WebUIs order everything that uses the model with one lock that serves in the order of asking, but for a gap: between
its release and the moment when the thread at the head of the queue has woken up, whoever asks first gets it. Training
gives the lock back after every step and asks again at once, so it would win that race nearly always. Here the one who
gives the lock back lets the head of the queue in before asking again.
"""
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE = 0.25
"""Seconds that a thread at the head of the queue has to wake up; one that needs longer gets in after the next turn."""

_LOOK = 0.0005
"""Seconds between two looks whether it has."""


@contextmanager
def queue_lock() -> Iterator[None]:
    """Holds the host's lock while open; not re-entrant. On the way out the one who waits longest is let in."""
    from modules.call_queue import queue_lock as lock

    lock.acquire()
    try:
        yield
    finally:
        waiting = waiting_for(lock)
        lock.release()
        if waiting:
            _let_in(lock)


@contextmanager
def queue_lock_if_free() -> Iterator[bool]:
    """Holds the host's lock while open if nobody else does; tells whether it does. Never waits."""
    from modules.call_queue import queue_lock as lock

    held = lock.acquire(blocking=False)
    try:
        yield held
    finally:
        if held:
            lock.release()


def waiting_for(lock: Any) -> int:
    """Returns how many threads wait for a lock of the host."""
    return len(lock._pending_threads)


def _let_in(lock: Any) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not lock._lock.locked() and time.monotonic() < deadline:
        time.sleep(_LOOK)
