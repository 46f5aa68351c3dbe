"""Reading on threads, a little in advance, in order: memory stays bounded however much there is to read."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def read_ahead(
    tasks: Iterable[Task], work: Callable[[Task], Result], workers: int, ahead: int
) -> Generator[tuple[Task, Result], None, None]:
    """Does `work` on threads, `ahead` tasks in advance at most; yields task and result in the order of the tasks.

    Memory stays bounded however many tasks there are, and the threads end when the generator is closed.
    """
    waiting: deque[tuple[Task, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for task in tasks:
            waiting.append((task, pool.submit(work, task)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
