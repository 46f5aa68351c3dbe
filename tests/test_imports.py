"""The house rules of ARCHITECTURE.md, read from the source itself: who may import what, and how code may look.

import-linter checks the floors as well (pyproject.toml); this test needs no tool, names the line, and adds what
import-linter does not know: circles, broad `except`s, prints, sizes, module docstrings.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "lib_trainer"

# Each floor may import those to its right, not itself a list of everything: the floors below come with them.
BELOW = {
    "errors": "",
    "seeds": "errors",
    "families": "seeds errors",
    "blocks": "families seeds errors",
    "keeping": "",
    "noise_table": "",
    "host_model": "families seeds errors",
    "host": "host_model keeping families blocks seeds errors",
    "txt2img_host": "host host_model keeping families blocks seeds errors",
    "lora": "host host_model keeping families blocks seeds errors",
    "workbench": "lora host host_model keeping families blocks seeds errors",
    "compare": "lora txt2img_host host host_model keeping families blocks seeds errors",
    "data": "compare lora host host_model keeping families blocks seeds errors",
    "hosts": "compare lora txt2img_host host host_model keeping noise_table families blocks seeds errors",
    "training": "data compare workbench lora host host_model keeping noise_table families blocks seeds errors",
    "job": "training data compare workbench lora host host_model keeping families blocks seeds errors",
    "queue_file": "training data compare workbench lora host host_model keeping families blocks seeds errors",
    "job_queue": "queue_file training data compare workbench lora host host_model keeping families blocks seeds errors",
    "jobs": "job_queue queue_file job training data compare workbench lora host host_model keeping families blocks "
            "seeds errors",
    "ui": "api txt2img_host jobs job_queue queue_file job training data compare workbench lora host host_model keeping "
          "families blocks seeds errors",
    "api": "jobs job_queue queue_file job training data compare workbench lora host host_model keeping families blocks "
           "seeds errors",
    "demo": "",
    "installation": "",
}
# These join the rest: bootstrap may import everything, the command line reaches hosts through it.
JOINING = ("bootstrap", "cli", "bench", "__main__", "__init__")

# A package from elsewhere -> where alone it may be imported (`ui/` is a folder, `api.py` a file).
HOMES = {
    "gradio": ("ui/",),
    "fastapi": ("api/", "ui/page.py", "bootstrap.py"),
    "starlette": ("api/", "ui/page.py"),
    "uvicorn": ("ui/page.py", "bootstrap.py"),
    "diffusers": ("hosts/",),
    "modules": ("hosts/",),
    "backend": ("hosts/",),
    "ldm": ("hosts/",),
    "sgm": ("hosts/",),
    "accelerate": ("cli/processes.py",),
    "pydantic": (),
}
STANDARD_LIBRARY_ONLY = ("blocks/", "families/", "errors.py")
PRINTING = ("cli/", "installation/processes.py")
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 60
MOST_BROAD_EXCEPTS = 2


def sources(*folders: str) -> list[Path]:
    """Returns the Python files of the folders, and of the files named, beneath the project's root."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(found + [ROOT / name for name in folders if name.endswith(".py")])


def package_sources() -> list[Path]:
    return sources(PACKAGE)


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path) -> str:
    """Returns the path inside the package, with `/`."""
    return path.relative_to(ROOT / PACKAGE).as_posix()


def floor_of(name: str) -> str:
    """Returns the floor that `ui/form.py` or `lib_trainer.ui.form` belongs to: `ui`."""
    return name.removeprefix(f"{PACKAGE}.").replace("/", ".").removesuffix(".py").split(".")[0]


def imports_of(path: Path, at_run_time_only: bool = False) -> Iterator[tuple[int, str]]:
    """Yields (line, module) of every import, also those inside functions; relative ones are given their full name."""
    tree = tree_of(path)
    typing_only = {id(inner) for node in ast.walk(tree) if is_type_checking(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if at_run_time_only and id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                above = path.relative_to(ROOT).parts[: -node.level]
                module = ".".join([*above, module]).rstrip(".")
            # `from lib_trainer import host` imports the module `lib_trainer.host`.
            names = [f"{module}.{alias.name}" for alias in node.names] if module == PACKAGE else [module]
            yield from ((node.lineno, name) for name in names)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def told(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line} {what}"


def test_every_floor_imports_downwards_only() -> None:
    faults = []
    for path in package_sources():
        floor = floor_of(place(path))
        if floor in JOINING:
            continue
        assert floor in BELOW, f"{place(path)}: which floor is '{floor}'? Give it a row in BELOW and in pyproject.toml."
        allowed = {floor, *BELOW[floor].split()}
        for line, module in imports_of(path):
            if module.startswith(f"{PACKAGE}.") and floor_of(module) not in allowed and not is_plain_name(module):
                faults.append(told(path, line, f"imports {module}: {floor} may import {sorted(allowed)}"))
    assert not faults, "\n".join(faults)


def test_no_module_imports_itself_in_a_circle() -> None:
    """Also not inside functions: which of them is imported first must never matter."""
    modules = {dotted(path): path for path in package_sources()}
    graph = {name: modules_of(path, modules) - {name} for name, path in modules.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def dotted(path: Path) -> str:
    """Returns the name under which a file is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules_of(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Returns the modules of ours that a file imports when it runs."""
    found: set[str] = set()
    for node in statements(tree_of(path).body):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {name if name in modules else node.module
                      for name in (f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules.keys()


def statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yields the statements that run, those inside others too."""
    for node in body:
        if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)) and not is_type_checking(node):
            yield node
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from statements(getattr(node, part, ()))


def is_plain_name(module: str) -> bool:
    """Returns whether `lib_trainer.NAME` is a name of the package itself (its version) and not a module."""
    inner = ROOT / PACKAGE / module.split(".")[1]
    return not inner.exists() and not inner.with_suffix(".py").exists()


def test_foreign_packages_stay_in_their_homes() -> None:
    faults = []
    for path in package_sources():
        for line, module in imports_of(path):
            homes = HOMES.get(module.split(".")[0])
            if homes is not None and not any(place(path).startswith(home) for home in homes):
                faults.append(told(path, line, f"imports {module}, which belongs to {homes or 'nobody'}"))
    assert not faults, "\n".join(faults)


def test_block_weights_and_families_need_only_python() -> None:
    faults = []
    for path in package_sources():
        if place(path).startswith(STANDARD_LIBRARY_ONLY):
            for line, module in imports_of(path, at_run_time_only=True):
                if module.split(".")[0] not in {*sys.stdlib_module_names, PACKAGE}:
                    faults.append(told(path, line, f"imports {module}"))
    assert not faults, "\n".join(faults)


def test_the_installer_needs_only_python() -> None:
    known = sys.stdlib_module_names
    faults = [
        told(path, line, f"imports {module}")
        for path in [ROOT / "install.py", *sources(f"{PACKAGE}/installation")]
        for line, module in imports_of(path)
        if module.split(".")[0] not in known and not module.startswith(f"{PACKAGE}.installation")
    ]
    assert not faults, "\n".join(faults)


def test_only_the_two_boundaries_catch_everything() -> None:
    broad = []
    for path in sources(PACKAGE, "install.py"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, told(path, node.lineno, "is a bare except")
                if {"Exception", "BaseException"} & {
                    name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)
                }:
                    broad.append(told(path, node.lineno, "catches everything"))
    assert len(broad) <= MOST_BROAD_EXCEPTS, "\n".join(broad)


def test_only_the_command_line_prints() -> None:
    faults = [
        told(path, node.lineno, "prints")
        for path in package_sources()
        if not place(path).startswith(PRINTING)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("folder", [PACKAGE, "scripts", "tools"])
def test_files_and_functions_can_be_read_in_one_sitting(folder: str) -> None:
    faults = []
    for path in sources(folder):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES_OF_A_FILE:
            faults.append(told(path, 1, f"has {lines} lines, {MOST_LINES_OF_A_FILE} are the limit"))
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    faults.append(told(path, node.lineno, f"{node.name} has {lines} lines"))
    assert not faults, "\n".join(faults)


def test_every_module_opens_with_what_it_is() -> None:
    faults = [
        told(path, 1, "has no docstring")
        for path in sources(PACKAGE, "scripts", "tools", "install.py")
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(tree_of(path))
    ]
    assert not faults, "\n".join(faults)
