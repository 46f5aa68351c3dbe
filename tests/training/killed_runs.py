"""Trains in processes that are killed with SIGKILL: `python -m tests.training.killed_runs PLAN.json`.

The plan (JSON) holds `home`, `checkpoint`, `config` and `kills`: one process per entry until one comes to its end
before it is killed, and one more that may end. Each goes on with `resume = "auto"`. A kill is `{"change": n}`, just
before the process's n-th change of the disk (a file opened for writing, a rename, a removal), or `{"event": "Stepped",
"count": n}`, at any instant after the n-th such event. Prints one JSON line per process: how it ended, its changes of
the disk, its events. Processes are forked, so that the libraries are loaded once; no threads run before the fork.
"""
from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import lib_trainer.hosts.standalone.host  # noqa: F401 - loaded before the forks
from lib_trainer.training import config_reading, recipe
from lib_trainer.training.controls import Controls

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _count_changes(home: str, fatal: int) -> list[int]:
    """Counts the changes of the disk under a folder from now on; the process dies just before number `fatal`."""
    counted = [0]

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CHANGES and not (event == "open" and isinstance(arguments[2], int)
                                          and arguments[2] & _WRITING):
            return
        if home in str(arguments[0]):
            counted[0] += 1
            if counted[0] == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    return counted


def _child(plan: dict[str, Any], fatal: int, pipe: int) -> None:
    from lib_trainer.host import HostPaths
    from lib_trainer.hosts.standalone.host import StandaloneHost

    home = Path(plan["home"])
    host = StandaloneHost(Path(plan["checkpoint"]), HostPaths(
        home / "loras", home / "outputs", home / "settings", home / "cache", home / "checkpoints"))
    counted = _count_changes(str(home), fatal)
    config = config_reading.from_dict({**plan["config"], "resume": "auto"})
    for event in recipe.run(config, host, Controls()):
        os.write(pipe, (json.dumps(event.to_json()) + "\n").encode())
    os.write(pipe, (json.dumps({"kind": "Changes", "count": counted[0]}) + "\n").encode())


def _train(plan: dict[str, Any], kill: dict[str, Any]) -> dict[str, Any]:
    """Runs one process to its end or its kill."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        status = 1
        try:
            _child(plan, kill.get("change", 0), theirs)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(theirs)
    events, count = [], kill.get("count", 0)
    with os.fdopen(ours) as lines:
        for line in lines:
            events.append(json.loads(line))
            count -= events[-1]["kind"] == kill.get("event")
            if count == 0 and "event" in kill:
                os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    changes = events.pop()["count"] if events and events[-1]["kind"] == "Changes" else 0
    return {"killed": os.WIFSIGNALED(status), "status": status, "changes": changes, "events": events}


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf8"))
    for kill in [*plan["kills"], {}]:
        part = _train(plan, kill)
        print(json.dumps(part), flush=True)
        if not part["killed"]:
            break


if __name__ == "__main__":
    main()
