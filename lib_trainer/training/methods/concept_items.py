"""The concepts of a run as what its plan is made of: an item each, in data sets of one size and batch size."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lib_trainer.data.buckets import Buckets, Size
from lib_trainer.data.concepts import Concept
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import Problems, UserError
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.methods import concept_files, concept_lines
from lib_trainer.training.methods.concept_lines import Defaults, Row
from lib_trainer.training.settings.method import INSTANT

PREFIX = "prompts/"
"""Beginning of the keys of what stands for prompts."""


def rows(config: TrainConfig) -> list[Row]:
    """Returns what the form's lines and the file ask for, every concept also with each of the words around it.

    Raises:
        Problems: lines or entries that cannot be read, all of them.
    """
    defaults = Defaults(config.concept_action, config.concept_guidance, to_nothing=config.method == INSTANT)
    found: list[Row] = []
    faults: list[str] = []
    for line in concept_lines.lines(config.concepts):
        try:
            found.append(concept_lines.row(line, defaults))
        except UserError as error:
            faults.append(f"concepts: {error}")
    if config.concepts_file:
        try:
            found += concept_files.read(Path(config.concepts_file), defaults)
        except Problems as error:
            faults += error.problems
    if faults:
        raise Problems(faults)
    around = ["", *concept_lines.lines(config.concept_contexts)]
    return [replace(row, concepts=tuple(concept_lines.in_context(one, words) for one in row.concepts))
            for row in found for words in around]


def datasets(config: TrainConfig, found: list[Row], size: Size, step: int) -> list[Dataset]:
    """Returns the data sets of concepts: one for every size and batch size.

    Every epoch uses each concept as often as a batch has places, so that an epoch has a batch a concept.

    Args:
        config: the settings. found: of `rows`.
        size: width and height in pixels of concepts that name none.
        step: every side is a multiple of it.
    """
    groups: dict[tuple[Size, int], list[tuple[Concept, float]]] = {}
    for row in found:
        group = groups.setdefault((row.size or size, row.batch_size or config.batch_size), [])
        group += [(concept, row.weight) for concept in row.concepts]
    numbers = iter(range(1, sum(map(len, groups.values())) + 1))
    return [
        Dataset([_item(concept, weight, next(numbers), sides, batch_size) for concept, weight in group],
                Buckets(*sides, step, enabled=False), batch_size)
        for (sides, batch_size), group in groups.items()
    ]


def _item(concept: Concept, weight: float, number: int, sides: Size, batch_size: int) -> Item:
    subset = Subset("prompts", prefix=PREFIX, repeats=batch_size, loss_weight=weight, concept=concept)
    return Item(subset, str(number), concept.target, *sides, captioned=True)


def unfit_sizes(sizes: Iterable[Size], step: int) -> Iterator[str]:
    """Yields which sizes (width, height) the model cannot have, one sentence each."""
    for width, height in dict.fromkeys(sizes):
        if width % step or height % step:
            yield (f"The size {width}x{height} of concepts is not a multiple of {step} pixels, which this model needs: "
                   f"use {max(step, round(width / step) * step)},{max(step, round(height / step) * step)}.")
