"""What is held out is never trained on, whatever names and places a picture has."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data import holdout
from lib_trainer.data.buckets import Buckets
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError

BUCKETS = Buckets(64, 64, 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty files of one size with different bytes."""
    made = tmp_path_factory.mktemp("pictures")
    for number in range(40):
        (made / f"{number:02}.png").write_bytes(f"{number:02}".encode() * 50)
    return made


def subset(folder: Path, prefix: str = "images/", is_reg: bool = False, repeats: int = 1) -> Subset:
    return Subset(name=folder.name, root=folder, prefix=prefix, repeats=repeats, is_reg=is_reg)


def items(of: Subset) -> list[Item]:
    return [Item(of, path.name, "", 64, 64, True) for path in sorted(of.root.iterdir())]


def dataset(found: list[Item], split: float, seed: int | None = None) -> Dataset:
    return Dataset(found, BUCKETS, validation_split=split, validation_seed=seed)


def names(datasets: list[Dataset]) -> set[str]:
    return {item.path.name for dataset in datasets for item in dataset.items}


def test_nothing_is_held_out_unless_asked_for(folder: Path) -> None:
    whole = dataset(items(subset(folder)), 0.0)
    assert holdout.hold_out([whole], 1) == ([whole], [])


@given(split=st.floats(0.01, 0.9), seed=st.integers(0, 2**53))
def test_both_sides_together_are_all_and_share_nothing(folder: Path, split: float, seed: int) -> None:
    whole = dataset(items(subset(folder)), split)
    (training,), (validation,) = holdout.hold_out([whole], seed)
    assert not names([training]) & names([validation])
    assert names([training]) | names([validation]) == names([whole])
    assert len(validation.items) == max(1, int(split * 40))


def test_the_choice_follows_from_seed_and_pictures_alone(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "moved"
    shutil.copytree(folder, elsewhere)

    def held(where: Path, seed: int, backwards: bool = False, own: int | None = None) -> set[str]:
        found = items(subset(where))
        return names(holdout.hold_out([dataset(found[::-1] if backwards else found, 0.25, own)], seed)[1])

    assert held(folder, 1) == held(folder, 1) == held(elsewhere, 1) == held(folder, 1, backwards=True)
    assert held(folder, 1) != held(folder, 2)
    assert held(folder, 1, own=7) == held(folder, 2, own=7)
    more = {*held(folder, 1)}
    (elsewhere / "new.png").write_bytes(b"new")
    assert len(more & held(elsewhere, 1)) >= len(more) - 1  # one picture more changes one place at most


def test_copies_links_and_second_data_sets_do_not_leak(folder: Path, tmp_path: Path) -> None:
    """The reference trainer's bug 5: four of four validation pictures were trained on."""
    copies, links = tmp_path / "5_other name", tmp_path / "links"
    copies.mkdir()
    links.mkdir()
    for path in sorted(folder.iterdir()):
        shutil.copy(path, copies / f"copy of {path.name}")
        (links / f"link to {path.name}").symlink_to(path)
    mine = items(subset(folder, repeats=3))
    others = items(subset(copies, "images/copies/")) + items(subset(links, "images/links/"))
    large = items(subset(folder, "images/large/"))
    training, validation = holdout.hold_out(
        [dataset(mine + others, 0.2), dataset(large, 0.0), dataset(large, 0.1, seed=5)], 3)

    def contents(datasets: list[Dataset]) -> set[bytes]:
        return {item.path.read_bytes() for dataset in datasets for item in dataset.items}

    assert not contents(training) & contents(validation)
    assert len(contents(validation)) >= 8
    assert [len(part.items) for part in validation] == [
        3 * len(contents(validation)), len(contents(validation)), len(contents(validation))]


def test_regularisation_pictures_are_never_held_out(folder: Path, tmp_path: Path) -> None:
    reg = tmp_path / "reg"
    shutil.copytree(folder, reg)
    for path in list(reg.iterdir())[:20]:
        path.write_bytes(path.name.encode() * 50)
    both = items(subset(folder)) + items(subset(reg, "reg/", is_reg=True))
    (training,), (validation,) = holdout.hold_out([dataset(both, 0.9)], 1)
    assert sum(item.is_reg for item in training.items) == 40
    assert not any(item.is_reg for item in validation.items)
    trained = {item.path.read_bytes() for item in training.items}
    assert not trained & {item.path.read_bytes() for item in validation.items}  # also those that are in both
    assert len(validation.items) == 18


def test_something_must_be_left_to_train_on(folder: Path) -> None:
    one = items(subset(folder))[:1]
    with pytest.raises(UserError, match="leaves no picture to train on"):
        holdout.hold_out([dataset(one, 0.5)], 1)


def test_a_picture_that_has_vanished(folder: Path) -> None:
    of = subset(folder)
    gone = Item(of, "gone.png", "", 64, 64, True)
    with pytest.raises(UserError, match=r"gone\.png can no longer be read"):
        holdout.hold_out([dataset([*items(of), gone], 0.5)], 1)
