"""The lock serves in the order of asking."""
from __future__ import annotations

import threading
import time

import pytest

from lib_trainer.hosts.standalone.lock import FifoLock


def wait_for(lock: FifoLock, waiting: int) -> None:
    deadline = time.monotonic() + 30
    while lock.waiting != waiting and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    assert lock.waiting == waiting


def test_first_come_first_served() -> None:
    lock, order = FifoLock(), list[int]()

    def enter(number: int) -> None:
        with lock:
            order.append(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(5)]
    lock.acquire()
    for number, thread in enumerate(threads):
        thread.start()
        wait_for(lock, number + 1)
    lock.release()
    for thread in threads:
        thread.join(timeout=30)
    assert order == list(range(5)) and lock.waiting == 0


def test_whoever_asks_again_comes_after_those_who_wait() -> None:
    lock, order = FifoLock(), list[str]()

    def other() -> None:
        with lock:
            order.append("other")

    thread = threading.Thread(target=other)
    with lock:
        thread.start()
        wait_for(lock, 1)
    with lock:
        order.append("again")
    thread.join(timeout=30)
    assert order == ["other", "again"]


def test_an_exception_gives_the_lock_back() -> None:
    lock = FifoLock()
    with pytest.raises(RuntimeError), lock:
        raise RuntimeError
    with lock:
        assert lock.waiting == 0


def test_only_one_is_inside() -> None:
    lock, inside, most = FifoLock(), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with lock:
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert (inside, most) == (0, 1)
