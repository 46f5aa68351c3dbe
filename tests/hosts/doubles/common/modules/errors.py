"""Double of the WebUIs' error log: what was reported, for tests to look at."""
from __future__ import annotations

reported: list[str] = []


def display(e: Exception, task: str, *, full_traceback: bool = False) -> None:
    reported.append(f"{task}: {type(e).__name__}: {e}")


def report(message: str, *, exc_info: bool = False) -> None:
    reported.append(message)
