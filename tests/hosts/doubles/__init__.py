"""Small working doubles of the WebUIs' modules, so that the hosts' code runs where no WebUI is.

`common/` holds what the three programs share (`modules.shared`, `modules.call_queue`, `modules.processing` ...);
`a1111/`, `forge/` and `reforge/` hold what each has besides, or in its own way: a file there is found before one of the
same name in `common/`. None of the `modules` folders has an `__init__.py`, so that both folders make up one package.
`installed` puts a program's doubles in place for a test and takes every trace of them away afterwards. That the doubles
look like the real modules is checked in `test_signatures.py`.
"""
from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
HOSTS = ("webui", "a1111", "forge", "reforge")
"""The three programs, and "webui": only what they share."""


def folders(host: str) -> list[Path]:
    """Returns the folders of a program's doubles, its own before the common one."""
    return [HERE / host, HERE / "common"]


@contextmanager
def installed(host: str, data: Path) -> Iterator[None]:
    """While open, `import modules` finds the doubles of a program, fresh ones; others in place stand aside meanwhile.

    Args:
        host: one of `HOSTS`.
        data: the program's data folder (its `--data-dir`): models, outputs.
    """
    assert host in HOSTS, host
    path, former = list(sys.path), {name: module for name, module in sys.modules.items() if _is_double(name)}
    for name in former:
        del sys.modules[name]
    before = set(sys.modules)
    sys.path[:] = [*map(str, folders(host)), *(place for place in path if HERE not in Path(place).parents)]
    sys.path_importer_cache.clear()
    try:
        _place(host, data)
        yield
    finally:
        sys.path[:] = path
        # all are found first: a package without `__init__.py` asks for its parent when it is looked at
        for name in [name for name in set(sys.modules) - before if _is_double(name) or _knows_doubles(name)]:
            _forget(name)
        sys.modules.update(former)
        sys.path_importer_cache.clear()


def _place(host: str, data: Path) -> None:
    """Gives the double program its folders, as `--data-dir` would."""
    from modules import paths_internal

    paths_internal.move(str(HERE / host), str(data))


def _forget(name: str) -> None:
    """Takes a module away, also from its package, where `from package import module` would find it again."""
    module = sys.modules.pop(name)
    package, _, own = name.rpartition(".")
    if getattr(sys.modules.get(package), own, None) is module:
        delattr(sys.modules[package], own)


def _knows_doubles(name: str) -> bool:
    """Whether a module of the tests was imported while doubles were in place: it may hold on to their classes."""
    return name.startswith("tests.hosts.")


def _is_double(name: str) -> bool:
    module = sys.modules[name]
    if name.startswith("tests."):
        return False
    folders = getattr(module, "__path__", [])  # torch.classes answers any name with something of its own
    places = [getattr(module, "__file__", None), *(folders if isinstance(folders, Iterable) else [])]
    return any(isinstance(place, str) and HERE in Path(place).parents for place in places)
