"""Double of the WebUIs' lock: first come, first served, but whoever asks while the next one wakes up is served before.

That gap is the real lock's own (see `lib_trainer.hosts.webui.lock`), so it is kept.
"""
from __future__ import annotations

import threading
from collections import deque


class FIFOLock:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inner_lock = threading.Lock()
        self._pending_threads: deque[threading.Event] = deque()

    def acquire(self, blocking: bool = True) -> bool:
        with self._inner_lock:
            if self._lock.acquire(blocking=False):
                return True
            if not blocking:
                return False
            my_turn = threading.Event()
            self._pending_threads.append(my_turn)
        my_turn.wait()
        return self._lock.acquire()

    def release(self) -> None:
        with self._inner_lock:
            if self._pending_threads:
                self._pending_threads.popleft().set()
            self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, t: object, v: object, tb: object) -> None:
        self.release()
