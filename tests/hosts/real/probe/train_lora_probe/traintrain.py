"""Starts sd-webui-traintrain the way its Start button does: one call with the values of all its widgets, in order."""
from __future__ import annotations

import sys
import threading
import time
from typing import Any

_state: dict[str, Any] = {"running": False, "result": "", "asked": 0.0}


def start(settings: dict[str, Any], model: str) -> None:
    """Trains in a thread.

    Args:
        settings: values that differ from the widgets' own, by the peer's names.
        model: title of the checkpoint in the host's list.
    """
    entry, configs = sys.modules["trainer.train"].train, sys.modules["trainer.trainer"].all_configs
    unknown = set(settings) - {config[0] for config in configs}
    if unknown:
        raise ValueError(f"The peer has no setting {sorted(unknown)}.")
    values = [settings.get(name, shown if shown is not None else (choices or [None])[0])
              for name, _, choices, shown, *_ in configs]
    arguments = [False, "LoRA", model, "None", *values, *values, "", "", "", None, None]
    _state.update(running=True, result="", asked=time.time())
    threading.Thread(target=_run, args=(entry, arguments), name="peer", daemon=True).start()


def _run(entry: Any, arguments: list[Any]) -> None:
    try:
        _state["result"] = str(entry(*arguments))
    except Exception as error:  # a measurement must learn of the peer's end, whatever it was
        _state["result"] = f"{type(error).__name__}: {error}"
    finally:
        _state["running"] = False


def state() -> dict[str, Any]:
    return dict(_state)
