"""Another base for the run: the host loads it through its own loader and goes back afterwards."""
from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.hosts.webui import checkpoints
from lib_trainer.hosts.webui.backend import Backend
from lib_trainer.hosts.webui.checkpoints import selected
from lib_trainer.hosts.webui.lock import queue_lock


@dataclass(frozen=True)
class _Switch:
    """What was loaded before, and what tells the checkpoint of the run from any other."""

    former: Path | None
    identity: Hashable


@contextmanager
def base_loaded(backend: Backend, base: Path | None) -> Iterator[None]:
    """While open, the host has this checkpoint loaded (None = whichever it has).

    On the way out the former one is loaded again, unless the person has loaded another one meanwhile. A file that the
    host did not list before is then out of its list again.

    Raises:
        UserError: the host cannot load the base, or cannot go back.
    """
    if base is None:
        yield
        return
    with queue_lock(), ExitStack() as undone:
        if base.resolve() not in {path.resolve() for path in checkpoints.files()}:
            undone.callback(checkpoints.unlist, base)
        switch = _switch(backend, base)
        afterwards = undone.pop_all()
    failure: UserError | None = None
    try:
        yield
    except UserError as fault:
        failure = fault
        raise
    finally:
        with afterwards:
            if switch:
                _go_back(backend, switch, failure)


def _switch(backend: Backend, base: Path) -> _Switch | None:
    """Under the lock: loads the base; returns None when it was loaded already."""
    former = _former(backend)
    if former is not None and former.resolve() == base.resolve():
        return None
    before = backend.identity()
    try:
        backend.load(base)
    except UserError:
        if former is not None and backend.identity() != before:
            backend.load(former)
        raise
    return _Switch(former, backend.identity())


def _former(backend: Backend) -> Path | None:
    """Returns the file of the loaded checkpoint, or of the selected one when what is loaded cannot be trained."""
    try:
        return backend.checkpoint().path
    except UserError:
        return selected()


def _go_back(backend: Backend, switch: _Switch, failure: UserError | None) -> None:
    """Loads the former checkpoint again; when that fails, says so together with what went wrong before."""
    with queue_lock():
        if switch.former is None or backend.identity() != switch.identity:
            return
        try:
            backend.load(switch.former)
        except UserError as fault:
            told = f"'{switch.former.name}' was loaded before the training and could not be loaded again: {fault}"
            raise UserError(f"{failure} {told}" if failure else told) from fault
