"""What our extension takes of the start: seconds inside what the host calls of it, by the name of what is called.

The host loads this probe before our scripts (folders are in the order of the alphabet), so it can wrap what they
register: loading the scripts themselves, their callbacks, and the methods of their `Script` classes. Processor seconds
are those of the calling thread, so neither other programs nor the thread that loads the checkpoint count.
"""
from __future__ import annotations

import functools
import sys
import time
import types
from collections.abc import Callable
from typing import Any

from modules import script_callbacks, script_loading

OURS = "train-lora"
"""The folder of our extension."""

_SPENT: dict[str, list[float]] = {}
_INSIDE: list[str] = []
"""The call that is being measured; what it calls itself is part of it."""


def watch() -> None:
    """Begins to measure."""
    _wrap(script_loading, "load_module", _load_module)
    _wrap(script_callbacks, "add_callback", _add_callback)


def spent() -> dict[str, dict[str, float]]:
    """Returns seconds of the processor and of the clock, and the number of calls, by name; "all" is the sum."""
    total = [sum(column) for column in zip(*_SPENT.values(), strict=True)] or [0.0, 0.0, 0.0]
    return {name: dict(zip(("processor", "clock", "calls"), numbers, strict=True))
            for name, numbers in {**_SPENT, "all": total}.items()}


def _wrap(place: Any, name: str, around: Callable[..., Any]) -> None:
    setattr(place, name, functools.partial(around, getattr(place, name)))


def _load_module(load: Callable[..., Any], path: str) -> Any:
    if OURS not in path.replace("\\", "/").split("/"):
        return load(path)
    module = _measured("load scripts", load)(path)
    for thing in vars(module).values():
        if isinstance(thing, type) and thing.__module__ == module.__name__:
            for name, method in list(vars(thing).items()):
                if isinstance(method, types.FunctionType):
                    setattr(thing, name, _measured(f"script {name}", method))
    return module


def _add_callback(add: Callable[..., Any], callbacks: list[Any], fun: Callable[..., Any], **named: Any) -> None:
    """Hands on the file that registers: the host would look for it in the stack and find this one."""
    file = named.pop("filename", None) or sys._getframe(2).f_code.co_filename
    # a host registers scripts, too, when it puts them in their order: their methods are measured already
    ours = OURS in file.replace("\\", "/").split("/") and isinstance(fun, types.FunctionType)
    add(callbacks, _measured(named.get("category") or fun.__name__, fun) if ours else fun, filename=file, **named)


def _measured(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def measured(*args: Any, **kwargs: Any) -> Any:
        if _INSIDE:
            return call(*args, **kwargs)
        _INSIDE.append(name)
        processor, clock = time.thread_time(), time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            _INSIDE.pop()
            found = _SPENT.setdefault(name, [0.0, 0.0, 0.0])
            for place, more in enumerate((time.thread_time() - processor, time.perf_counter() - clock, 1.0)):
                found[place] += more

    return measured
