"""What of the pictures' looks, masks and caches does not go together, and whether the caches fit into memory."""
from __future__ import annotations

from collections.abc import Sequence

from lib_trainer.data.caches import cache_size
from lib_trainer.data.item import Item
from lib_trainer.data.looks import face_of
from lib_trainer.data.picture_rules import PictureRules
from lib_trainer.data.sample import Placed
from lib_trainer.data.scanning import pairs
from lib_trainer.errors import UserError
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig

_MUCH = 0.5
"""Part of the free memory above which a cache is spoken of."""


def looks(config: TrainConfig, findings: Findings) -> None:
    """Looks at masks, crops and colours of the pictures that were found."""
    from lib_trainer.data import masks

    items = findings.items
    rules = {item.subset.pictures for item in items}
    findings.faults += masks.faults(pairs.sides(items))
    if items and not config.masked_loss and not config.mask_folder and any(one.mask_folder for one in rules):
        findings.faults.append("masked_loss is off, but subsets have mask folders (conditioning_data_dir): switch "
                               "'Masked loss' on, or take the folders out.")
    if items and config.masked_loss and not any(one.has_masks for one in rules):
        findings.faults.append("masked_loss is on, but no picture has a mask: give a mask folder, or switch 'Alpha "
                               "mask' on.")
    findings.warnings += _faces(items)
    findings.warnings += _caching(config, items, rules)


def _faces(items: Sequence[Item]) -> list[str]:
    asked = [item for item in items if item.subset.pictures.face_crop]
    without = [item for item in asked if face_of(item.path) is None]
    if not without:
        return []
    return [f"{len(without)} of {len(asked)} pictures have no face box in their file name, such as "
            f"{without[0].path.name}: they are cropped as the others are. A name ends in _cx_cy_w_h, in pixels."]


def _caching(config: TrainConfig, items: Sequence[Item], rules: set[PictureRules]) -> list[str]:
    if not config.cache_latents:
        return []
    anew = sum(not item.subset.pictures.can_be_cached for item in items)
    if anew:
        return [f"{anew} pictures look different at every use (colours, random or face crops), so their latents are "
                "not cached and every step encodes them; with 'Cached variants' at 4, four looks of each are cached."]
    if config.cache_variants and items and not any(one.draws for one in rules):
        return [f"cache_variants = {config.cache_variants} does nothing: colours and crops of the pictures do not "
                "vary."]
    return []


def memory(config: TrainConfig, pictures: Sequence[Placed]) -> list[str]:
    """Returns what a person should know of the memory that cached latents need.

    Raises:
        UserError: they do not fit.
    """
    if not config.cache_latents or config.cache_to_disk:
        return []
    return fits(cache_size.latents(pictures), f"the cached latents of {len(pictures)} pictures", "Keep the cache")


def fits(needed: int, what: str, remedy: str) -> list[str]:
    """Returns a warning where something needs much of the free memory.

    Args:
        needed: bytes. what: what needs them.
        remedy: label of the setting that keeps it on disk instead.

    Raises:
        UserError: it does not fit.
    """
    free = cache_size.free_memory()
    if free is None or needed <= _MUCH * free:
        return []
    told = f"{what} need {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free"
    if needed > free:
        raise UserError(f"{told[:1].upper()}{told[1:]}: switch '{remedy}' on, which keeps them on the disk instead.")
    return [f"{told[:1].upper()}{told[1:]}; '{remedy}' would keep them on the disk instead."]
