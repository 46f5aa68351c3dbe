"""Which keys the tables of a dataset file may have: settings of the form by both their names, and a few more."""
from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.settings.declare import setting

OF_SUBSETS = (
    "caption_extension", "trigger", "shuffle_caption", "keep_tokens", "keep_tokens_separator", "secondary_separator",
    "caption_separator", "wildcards", "caption_prefix", "caption_suffix", "caption_dropout", "caption_dropout_every",
    "tag_dropout", "token_warmup_min", "token_warmup_step", "flip", "color_aug", "random_crop", "face_crop",
    "alpha_mask", "mask_folder", "background", "interpolation",
)
"""Settings that a folder may have for itself."""

OF_DATASETS = (
    "resolution", "batch_size", "buckets", "bucket_min", "bucket_max", "bucket_step", "bucket_no_upscale",
    "validation_split", "validation_seed",
)
"""Settings that a data set may have for itself."""

WITHOUT_USE = {
    "network_multiplier": "sd-scripts reads it and does not use it, and neither is it used here.",
    "cache_info": "it is not needed: sizes and captions are read anew at every start, which takes seconds.",
}
"""Keys of sd-scripts that change nothing, with what to say where they are set."""


@dataclass(frozen=True)
class _Everywhere:
    repeats: int = setting(1, "Repeats", "Uses per epoch; 0 = the subset is not used.", "Data", "num_repeats",
                           minimum=0, maximum=1000000)
    cache_info: bool = setting(False, "cache_info", "Changes nothing.", "Data")


@dataclass(frozen=True)
class _OfDatasets:
    network_multiplier: float = setting(1.0, "network_multiplier", "Changes nothing.", "Data")


@dataclass(frozen=True)
class _OfSubsets:
    image_dir: str = setting("", "Picture folder", "The pictures themselves, without sub-folders.", "Data", path=True)
    metadata_file: str = setting("", "Metadata file", "Captions and tags by picture, .json or .jsonl.", "Data",
                                 "in_json", path=True)
    is_reg: bool = setting(False, "Regularisation", "Whether these are regularisation pictures.", "Data")


class Keys:
    """The keys of one kind of table.

    Attributes:
        fields: what can be set. names: by what names.
    """

    def __init__(self, *fields: dataclasses.Field[Any]) -> None:
        self.fields = fields
        self.names = frozenset(name for one in fields for name in (one.name, one.metadata["kohya"]) if name)


_SETTINGS = {one.name: one for one in dataclasses.fields(TrainConfig)}
_SUBSET_FIELDS = (*(_SETTINGS[name] for name in OF_SUBSETS), *dataclasses.fields(_Everywhere))

SUBSET = Keys(*_SUBSET_FIELDS, *dataclasses.fields(_OfSubsets))
GENERAL = DATASET = Keys(
    *_SUBSET_FIELDS, *(_SETTINGS[name] for name in OF_DATASETS if name in _SETTINGS), *dataclasses.fields(_OfDatasets)
)
