"""A lock that serves in the order of asking.

Training gives the lock back after every step and asks again at once; with an ordinary lock it would win nearly always
and a waiting generation would starve. Here whoever asked first is next.
"""
from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class FifoLock:
    """A fair mutual exclusion lock; not re-entrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._queue: deque[threading.Event] = deque()
        self._held = False

    def acquire(self) -> None:
        """Waits for its turn."""
        ticket = threading.Event()
        with self._guard:
            if not self._held:
                self._held = True
                return
            self._queue.append(ticket)
        entered = False
        try:
            ticket.wait()
            entered = True
        finally:
            if not entered:  # Ctrl+C while waiting: the place in the queue must not stay behind
                self._leave(ticket)

    def _leave(self, ticket: threading.Event) -> None:
        with self._guard:
            if ticket in self._queue:
                self._queue.remove(ticket)
                return
        self.release()

    def release(self) -> None:
        """Hands the lock to the one that waits longest."""
        with self._guard:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._held = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        with self._guard:
            return len(self._queue)

    def __enter__(self) -> FifoLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
