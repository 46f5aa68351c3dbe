"""The doubles look like the real programs: every function, class and method has the real one's parameters.

`tests/data/host_api_*.json` hold what the programs have at the commits named in them. A double may leave out optional
parameters at the end. What it has besides (a test's own handles) says so in its docstring: "not part of the real" or
"not in the real".
"""
from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import doubles

DATA = Path(__file__).parents[2] / "data"
PROGRAMS = ("a1111", "forge", "reforge")


def api(host: str) -> dict[str, Any]:
    modules: dict[str, Any] = json.loads((DATA / f"host_api_{host}.json").read_text(encoding="utf8"))["modules"]
    return modules


def real_files(host: str) -> dict[str, Any]:
    """Returns the known modules of a program by their path as `import` sees it."""
    named = {}
    for path, content in api(host).items():
        parts = Path(path).parts
        named["/".join(parts[2:] if parts[0] == "extensions-builtin" else parts)] = content
    return named


def cases() -> Iterator[Any]:
    for host in PROGRAMS:
        found: set[str] = set()
        for folder in doubles.folders(host):
            for file in sorted(folder.rglob("*.py")):
                name = file.relative_to(folder).as_posix()
                if name in real_files(host) and name not in found:
                    found.add(name)
                    yield pytest.param(host, file, name, id=f"{host}-{name}")


def is_own(node: ast.AST) -> bool:
    text = ast.get_docstring(node) or ""  # type: ignore[arg-type]
    return "not part of the real" in text or "not in the real" in text


def parameters(arguments: ast.arguments) -> list[str]:
    """Returns the parameters as text with their defaults, without annotations; a lone `*` where named ones begin."""
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
                     *filter(None, (arguments.vararg, arguments.kwarg))]:
        argument.annotation = None
    return ast.unparse(arguments).split(", ")


@pytest.mark.parametrize(("host", "file", "name"), cases())
def test_doubles_have_the_real_signatures(host: str, file: Path, name: str) -> None:
    real = real_files(host)[name]
    faults = []
    for node in ast.parse(file.read_text(encoding="utf8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not is_own(node):
            faults += _compare(node, real.get("functions", {}), node.name)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not is_own(node):
            if node.name not in real.get("classes", {}):
                faults.append(f"{node.name} is no class of {host}")
                continue
            methods = real["classes"][node.name].get("methods", {})
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_") and not is_own(inner):
                    faults += _compare(inner, methods, f"{node.name}.{inner.name}")
    assert not faults, "\n".join(faults)


def _compare(node: ast.FunctionDef, real: dict[str, str], shown: str) -> list[str]:
    if node.name not in real:
        return [f"{shown} is not there"]
    written: Any = ast.parse(f"def f{real[node.name]}: pass").body[0]
    ours, theirs = parameters(node.args), parameters(written.args)
    rest = theirs[len(ours):]
    same = ours == theirs[:len(ours)] and all("=" in parameter for parameter in rest)
    return [] if same else [f"{shown}({', '.join(ours)}) is ({', '.join(theirs)})"]


def test_the_doubles_go_without_a_trace(tmp_path: Path) -> None:
    import sys

    before = set(sys.modules), list(sys.path)
    with doubles.installed("webui", tmp_path):
        from modules import processing, shared

        assert processing and shared.opts and shared.cmd_opts.lora_dir.startswith(str(tmp_path))
    assert not [name for name in set(sys.modules) - before[0] if name.split(".")[0] == "modules"]
    assert sys.path == before[1]
