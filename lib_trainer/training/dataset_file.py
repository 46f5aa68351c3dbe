"""The dataset file: several data sets with their folders, in sd-scripts' own format (TOML or JSON).

`[general]` holds what all share, every `[[datasets]]` sizes and batches, every `[[datasets.subsets]]` a folder. A value
is looked for in the subset, in its data set, in `general`, and then in the form. Keys are sd-scripts' names or ours.
Repeats alone are not taken from the form: a subset without `num_repeats` has one, as in sd-scripts.

All faults of a file are found together, each with its place, such as "datasets[1].subsets[0].num_repeats".
"""
from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError
from lib_trainer.training import config_rules, config_values, dataset_keys, datasets
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.datasets import DatasetSpec, Source

_BASE_KEPT = "diff_output_preservation"


@dataclass
class DatasetFile:
    """What a dataset file says.

    Attributes:
        specs: its data sets; incomplete where there are faults.
        faults: what must be mended, one sentence each. warnings: what the person should know.
    """

    specs: list[DatasetSpec] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read(form: TrainConfig) -> DatasetFile:
    """Reads the dataset file of a form."""
    path = Path(form.datasets)
    try:
        values = config_values.read_file(path)
    except UserError as error:
        return DatasetFile(faults=[f"datasets: {error}"])
    return _Reader(form, path.absolute().parent).read(values)


class _Reader:
    """Reads one dataset file, gathering faults and warnings."""

    def __init__(self, form: TrainConfig, folder: Path) -> None:
        self._form, self._folder = form, folder
        self._file = DatasetFile()
        self._once: list[str] = []

    def read(self, values: Mapping[str, Any]) -> DatasetFile:
        self._file.faults += [
            _unknown("the dataset file", key, ("general", "datasets")) for key in values
            if key not in ("general", "datasets")
        ]
        general = self._level("general", values.get("general", {}), dataset_keys.GENERAL)
        for index, one in enumerate(self._tables("datasets", values.get("datasets"), "[[datasets]]")):
            self._dataset(index, one, general)
        if self._once and self._form.repeats not in (1, TrainConfig().repeats):
            self._file.warnings.append(
                f"Repeats = {self._form.repeats} is not taken by {', '.join(self._once[:3])}"
                f"{' and others' * (len(self._once) > 3)}: without num_repeats a subset is used once per epoch.")
        return self._file

    def _dataset(self, index: int, values: Mapping[str, Any], general: dict[str, Any]) -> None:
        place = f"datasets[{index}]"
        own = {key: value for key, value in values.items() if key != "subsets"}
        level = general | self._level(place, own, dataset_keys.DATASET)
        config = self._config(place, self._form, level)
        subsets = self._tables(f"{place}.subsets", values.get("subsets"), "[[datasets.subsets]]")
        found = [self._source(f"{index}.{number}", f"{place}.subsets[{number}]", one, level, config)
                 for number, one in enumerate(subsets)]
        used = self._without_duplicates([source for source in found if source])
        self._file.specs.append(DatasetSpec(config, used, place))

    def _source(
        self, name: str, place: str, values: Mapping[str, Any], above: dict[str, Any], dataset: TrainConfig
    ) -> Source | None:
        """Returns the folder or metadata file of one subset, None where it is at fault or switched off."""
        said = above | self._level(place, values, dataset_keys.SUBSET)
        config = self._config(place, dataset, said)
        if not said.get("image_dir") and not said.get("metadata_file"):
            self._file.faults.append(f"{place}: neither image_dir nor metadata_file is given: name the picture folder.")
            return None
        if said.get("repeats") == 0:
            self._file.warnings.append(f"{place} is not used: its num_repeats is 0.")
            return None
        if "repeats" not in said:
            self._once.append(place)
        is_reg = bool(said.get("is_reg", False))
        subset = datasets.subset(config, is_reg)
        subset = replace(subset, prefix=f"{name}/", repeats=said.get("repeats", 1),
                         keeps_base=bool(said.get(_BASE_KEPT, subset.keeps_base)))
        # The form's caption is one of training pictures.
        class_tokens = config.trigger if "trigger" in said or not is_reg else ""
        return self._placed(subset, said, config, class_tokens, place)

    def _placed(
        self, subset: Subset, said: dict[str, Any], config: TrainConfig, class_tokens: str, place: str
    ) -> Source:
        if subset.pictures.mask_folder:
            mask_folder = Path(self._found(str(subset.pictures.mask_folder)))
            subset = replace(subset, pictures=replace(subset.pictures, mask_folder=mask_folder))
        return Source(
            subset, self._found(said.get("image_dir", "")), self._found(said.get("metadata_file", "")),
            config.caption_extension, class_tokens, named_folders=False, place=place,
            endings=datasets.endings(config),
        )

    def _found(self, path: str) -> str:
        """Returns a path of the file: relative ones lie beside it or, as in sd-scripts, in the working folder."""
        beside = self._folder / path
        return str(beside) if path and (beside.exists() or not Path(path).exists()) else path

    def _without_duplicates(self, sources: Sequence[Source]) -> list[Source]:
        """Leaves out what a data set names twice, as sd-scripts does, and tells it."""
        first: dict[str, Source] = {}
        for source in sources:
            name = source.metadata_file or source.folder
            other = first.setdefault(str(Path(name).absolute()), source)
            if other is not source:
                self._file.warnings.append(
                    f"{source.place} is not used: {name!r} is {other.place} already; raise num_repeats there, or put "
                    "it into a data set of its own."
                )
        return list(first.values())

    def _tables(self, place: str, values: object, heading: str) -> list[Mapping[str, Any]]:
        if not isinstance(values, list) or not values:
            self._file.faults.append(f"{place}: there is none; write at least one {heading}.")
            return []
        wrong = [index for index, one in enumerate(values) if not isinstance(one, Mapping)]
        self._file.faults += [f"{place}[{index}] must be a table under {heading}, not {values[index]!r:.100}."
                              for index in wrong]
        return [one for one in values if isinstance(one, Mapping)]

    def _level(self, place: str, values: object, keys: dataset_keys.Keys) -> dict[str, Any]:
        """Returns the readable values of a table by field name."""
        if not isinstance(values, Mapping):
            self._file.faults.append(f"{place} must be a table, not {values!r:.100}.")
            return {}
        known = {key: value for key, value in values.items() if key in keys.names}
        self._file.faults += [
            _elsewhere(place, key) or _unknown(place, key, keys.names) for key in values
            if key not in keys.names and key != "custom_attributes"
        ]
        result, faults, _ = config_values.read(keys.fields, known)
        self._file.faults += [f"{place}.{fault}" for fault in faults]
        self._file.warnings += [f"{place}.{one.name}: {why}" for one in keys.fields
                                if (why := dataset_keys.WITHOUT_USE.get(one.name))
                                and result.get(one.name, one.default) != one.default]
        return result | self._attributes(place, values.get("custom_attributes", {}))

    def _attributes(self, place: str, values: object) -> dict[str, bool]:
        """Reads `custom_attributes`, of which one means something."""
        place = f"{place}.custom_attributes"
        if not isinstance(values, Mapping):
            self._file.faults.append(f"{place} must be a table, not {values!r:.100}.")
            return {}
        self._file.warnings += [f"{place}.{key} is not used: only {_BASE_KEPT} means something here."
                                for key in values if key != _BASE_KEPT]
        kept = values.get(_BASE_KEPT)
        if kept is not None and not isinstance(kept, bool):
            self._file.faults.append(f"{place}.{_BASE_KEPT} = {kept!r:.100}: it must be true or false.")
        return {_BASE_KEPT: kept} if isinstance(kept, bool) else {}

    def _config(self, place: str, base: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
        """Returns settings with those of a table in their place, telling what contradicts there only."""
        settings = (*dataset_keys.OF_SUBSETS, *dataset_keys.OF_DATASETS)
        config = replace(base, **{name: value for name, value in values.items() if name in settings})
        known = set(config_rules.faults(base))
        self._file.faults += [f"{place}: {fault}" for fault in config_rules.faults(config) if fault not in known]
        return config


def _unknown(place: str, key: object, names: Collection[str]) -> str:
    near = difflib.get_close_matches(str(key), names, 1)
    remedy = f"did you mean '{near[0]}'?" if near else "there is nothing like it; leave it out."
    return f"{place}: unknown key {key!r:.100}: {remedy}"


def _elsewhere(place: str, key: object) -> str:
    """Returns what to say of a key that belongs to another kind of table; "" = of none."""
    for keys, where in ((dataset_keys.SUBSET, "a subset ([[datasets.subsets]])"),
                        (dataset_keys.DATASET, "a data set ([[datasets]]) or to [general]")):
        if key in keys.names:
            return f"{place}: the key {key!r:.100} belongs to {where}; move it there."
    return ""
