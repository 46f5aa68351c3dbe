"""Which pictures are kept from training, to see what the run makes of pictures it has not seen.

A picture is on one side only, wherever it turns up: in several folders, data sets or resolutions, under several names
(the same bytes), or through a link. Which ones are held out depends on the pictures and the seed alone, neither on
their order nor on where the data set lies, so a resumed or repeated run holds out the same ones. (The reference trainer
shuffles both sides on their own and without a seed trains on what it validates with.) Regularisation pictures, and
pictures that are also among them, are never held out.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lib_trainer import seeds
from lib_trainer.data.caches.cache_files import hash_content
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.errors import UserError


def hold_out(datasets: Sequence[Dataset], seed: int) -> tuple[list[Dataset], list[Dataset]]:
    """Splits data sets by their `validation_split`.

    Args:
        datasets: of the run.
        seed: decides which pictures, for data sets that have no `validation_seed` of their own.

    Returns:
        The data sets without what is held out, and what is held out of each (data sets without any are left out).

    Raises:
        UserError: a picture can no longer be read, or nothing would be left to train on.
    """
    if not any(dataset.validation_split for dataset in datasets):
        return list(datasets), []
    names = identities(item for dataset in datasets for item in dataset.items)
    never = {names[item.path] for dataset in datasets for item in dataset.items if item.is_reg}
    held: set[str] = set()
    for dataset in datasets:
        held |= _chosen(dataset, names, never, seed)
    training = [_part(dataset, [item for item in dataset.items if names[item.path] not in held])
                for dataset in datasets]
    validation = [_part(dataset, [item for item in dataset.items if names[item.path] in held]) for dataset in datasets]
    for dataset, kept in zip(datasets, training, strict=True):
        if not any(not item.is_reg for item in kept.items):
            raise UserError(
                f"validation_split = {dataset.validation_split:g} leaves no picture to train on"
                f"{f' in {dataset.place}' if dataset.place else ''}: add pictures or hold out a smaller part.")
    return training, [dataset for dataset in validation if dataset.items]


def _part(dataset: Dataset, items: Sequence[Item]) -> Dataset:
    return replace(dataset, items=items)


def _chosen(dataset: Dataset, names: dict[Path, str], never: set[str], seed: int) -> set[str]:
    """Returns the pictures that a data set gives: floor(split * pictures), but at least one where it wants any.

    Every picture draws its own place in the line, so that one picture more or less hardly changes who is chosen.
    """
    if not dataset.validation_split:
        return set()
    own = dataset.validation_seed
    keys: dict[str, str] = {}
    for item in dataset.items:
        name = names[item.path]
        if name not in never:
            keys[name] = min(keys.get(name, item.key), item.key)
    order = sorted(keys, key=lambda name: seeds.derive(seed if own is None else own, "hold out", name))
    return set(order[: max(1, int(dataset.validation_split * len(order)))])


def identities(items: Iterable[Item]) -> dict[Path, str]:
    """Returns, by path, a name that is the same for all files with the same bytes, wherever they lie.

    Only files of the same size are read; tens of thousands of pictures hardly ever have one.

    Raises:
        UserError: a file can no longer be read.
    """
    keys: dict[Path, str] = {}
    for item in items:
        keys[item.path] = min(keys.get(item.path, item.key), item.key)
    by_size: defaultdict[int, defaultdict[Path, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in keys:
        real, size = _real(path)
        by_size[size][real].append(path)
    found: dict[Path, str] = {}
    for same_size in by_size.values():
        alike: defaultdict[str, list[Path]] = defaultdict(list)
        for real, paths in same_size.items():
            alike[_hash(real) if len(same_size) > 1 else ""] += paths
        for paths in alike.values():
            found.update(dict.fromkeys(paths, min(keys[path] for path in paths)))
    return found


def _real(path: Path) -> tuple[Path, int]:
    """Returns a file without links, and its size in bytes."""
    try:
        real = path.resolve()
        return real, real.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from None


def _hash(path: Path) -> str:
    try:
        return hash_content(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"The picture {path} can no longer be read ({error.strerror}): put it back and start again.")
