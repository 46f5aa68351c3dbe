"""From the settings to data sets: which folders, at which sizes, and what happens to captions and pictures there."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from lib_trainer.data.captions.caption_rules import CaptionRules
from lib_trainer.data.picture_rules import WHITE, PictureRules
from lib_trainer.data.scanning.pairs import Endings
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.rules import data
from lib_trainer.training.settings.method import NEEDS

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A folder with pictures, or a metadata file that names them, not yet opened.

    Attributes:
        subset: what its pictures have in common; name and root are found out when it is opened.
        folder: as typed by a person; empty = the metadata file alone.
        metadata_file: likewise; empty = the folder alone.
        caption_extension: ending of its caption files.
        class_tokens: caption of pictures without a caption file.
        named_folders: whether sub-folders named N_caption are read in place of the folder itself.
        place: where it was written, such as "datasets[1].subsets[0]"; empty = the form.
        endings: how the names of pairs end; None = its pictures are no pairs.
        after: where the second pictures of the pairs lie; empty = beside the first ones.
    """

    subset: Subset
    folder: str = ""
    metadata_file: str = ""
    caption_extension: str = ".txt"
    class_tokens: str = ""
    named_folders: bool = True
    place: str = ""
    endings: Endings | None = None
    after: str = ""


@dataclass(frozen=True)
class DatasetSpec:
    """A data set as it was asked for; `Dataset` is what was found.

    Attributes:
        config: settings of this data set: the form's with those of the data set in their place.
        sources: where its pictures lie.
        place: where it was written, such as "datasets[1]"; empty = the form.
    """

    config: TrainConfig
    sources: list[Source] = field(default_factory=list)
    place: str = ""


def of_form(config: TrainConfig) -> DatasetSpec:
    """Returns the data set of the form's picture folders and metadata file."""
    sources = []
    if config.images or config.metadata_file:
        sources.append(Source(subset(config), config.images, config.metadata_file, config.caption_extension,
                              config.trigger, named_folders=not config.metadata_file, endings=endings(config),
                              after=config.after_images))
    if config.reg_images:
        sources.append(Source(subset(config, is_reg=True), config.reg_images, "", config.caption_extension))
    return DatasetSpec(config, sources)


def endings(config: TrainConfig) -> Endings | None:
    """Returns how the names of pairs end, None for a method that needs none."""
    return Endings(config.before_suffix, config.after_suffix) if NEEDS[config.method] == "pairs" else None


def subset(config: TrainConfig, is_reg: bool = False) -> Subset:
    """Returns what the settings say of the pictures of a folder."""
    return Subset(
        name="", prefix="reg/" if is_reg else "images/", repeats=1 if is_reg else config.repeats, is_reg=is_reg,
        captions=caption_rules(config), pictures=picture_rules(config),
        loss_weight=config.prior_loss_weight if is_reg else 1.0, keeps_base=is_reg and config.keep_base,
    )


def caption_rules(config: TrainConfig) -> CaptionRules:
    """Returns what happens to captions."""
    return CaptionRules(
        shuffle=config.shuffle_caption, keep_tokens=config.keep_tokens, caption_dropout=config.caption_dropout,
        tag_dropout=config.tag_dropout, dropout_every=config.caption_dropout_every, prefix=config.caption_prefix,
        suffix=config.caption_suffix, wildcards=config.wildcards, separator=config.caption_separator,
        keep_tokens_separator=config.keep_tokens_separator, secondary_separator=config.secondary_separator,
        warmup_min=config.token_warmup_min, warmup_step=config.token_warmup_step,
    )


def picture_rules(config: TrainConfig) -> PictureRules:
    """Returns what happens to pictures."""
    return PictureRules(
        flip=config.flip, color=config.color_aug, random_crop=config.random_crop,
        face_crop=_or(data.parse_face_crop, config.face_crop, None), alpha_mask=config.alpha_mask,
        mask_folder=Path(config.mask_folder) if config.mask_folder else None,
        background=_or(data.parse_background, config.background, WHITE), interpolation=config.interpolation,
        variants=config.cache_variants,
    )


def _or(parse: Callable[[str], T], text: str, default: T) -> T:
    """Returns what a text says; the default where it is at fault, which the rules tell."""
    try:
        return parse(text)
    except UserError:
        return default
