"""What a file records of the pictures: folders, counts, tags, buckets; by data set where a dataset file was used."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from lib_trainer.data.captions.caption_rules import tags
from lib_trainer.data.item import Item
from lib_trainer.data.plan import Plan, Share
from lib_trainer.data.subsets import Subset
from lib_trainer.training.run import Run


def data(run: Run) -> dict[str, Any]:
    """Returns the fields of `metadata.RunInfo` about the pictures that are trained on; prompts are none."""
    if run.prompts:
        return {"num_train_images": 0, "num_batches_per_epoch": run.plan.batches_per_epoch}
    plan, items = run.plan, [item for share in run.plan.shares for item in share.dataset.items]
    training, reg = ([item for item in items if item.is_reg == is_reg] for is_reg in (False, True))
    return {
        "num_train_images": sum(share.image_uses for share in plan.shares),
        "num_reg_images": sum(share.reg_uses for share in plan.shares),
        "num_batches_per_epoch": plan.batches_per_epoch, "num_validation_images": len(run.held_out.pictures),
        "dataset_dirs": _folders(training), "reg_dataset_dirs": _folders(reg),
        "tag_frequency": _tag_frequency(items), "bucket_info": _buckets(plan),
        "datasets": [_dataset(share) for share in plan.shares] if run.config.datasets else None,
    }


def shown_caption(item: Item) -> str:
    """Returns a caption as it is shown at most uses: one of several lines, one of several words in braces."""
    return item.subset.captions.settled(item.caption)


def _folders(items: Iterable[Item]) -> dict[str, dict[str, int]]:
    """Returns repeats and pictures by folder name; a folder that is used twice is counted on with a number."""
    subsets: dict[int, tuple[Subset, int]] = {}
    for item in items:
        subset, count = subsets.get(id(item.subset), (item.subset, 0))
        subsets[id(item.subset)] = (subset, count + 1)
    found: dict[str, dict[str, int]] = {}
    for subset, count in subsets.values():
        name = subset.name
        number = 2
        while name in found:
            name, number = f"{subset.name} ({number})", number + 1
        found[name] = {"n_repeats": subset.repeats, "img_count": count}
    return found


def _tag_frequency(items: Iterable[Item]) -> dict[str, dict[str, int]]:
    """Returns how often every tag occurs, without repeats; folders of one name are counted together."""
    found: dict[str, Counter[str]] = {}
    for item in items:
        found.setdefault(item.folder, Counter()).update(tags(shown_caption(item)))
    return {folder: dict(counts) for folder, counts in found.items()}


def _buckets(plan: Plan | Share) -> dict[str, Any]:
    return {
        "buckets": {str(index): {"resolution": list(bucket), "count": count}
                    for index, (bucket, count) in enumerate(plan.bucket_counts.items())},
        "mean_img_ar_error": plan.mean_ar_error,
    }


def _dataset(share: Share) -> dict[str, Any]:
    """Returns the record of one data set, with sd-scripts' keys."""
    items, buckets = share.dataset.items, share.dataset.buckets
    return {
        "is_dreambooth": not any(item.subset.metadata for item in items),
        "batch_size_per_device": share.dataset.batch_size,
        "num_train_images": share.image_uses, "num_reg_images": share.reg_uses,
        "resolution": [buckets.width, buckets.height], "enable_bucket": buckets.enabled,
        "bucket_no_upscale": buckets.no_upscale,
        "min_bucket_reso": buckets.minimum if buckets.enabled else None,
        "max_bucket_reso": buckets.maximum if buckets.enabled else None,
        "tag_frequency": _tag_frequency(items), "bucket_info": _buckets(share), "subsets": _subsets(items),
    }


def _subsets(items: Sequence[Item]) -> list[dict[str, Any]]:
    counts = Counter(id(item.subset) for item in items)
    known = {id(item.subset): item.subset for item in items}
    return [_subset(known[key], count) for key, count in counts.items()]


def _subset(subset: Subset, count: int) -> dict[str, Any]:
    captions, pictures = subset.captions, subset.pictures
    return {
        "img_count": count, "num_repeats": subset.repeats, "is_reg": subset.is_reg,
        ("metadata_file" if subset.metadata else "image_dir"): PurePath(subset.name).name,
        "class_tokens": subset.class_tokens or None,
        "color_aug": pictures.color, "flip_aug": pictures.flip, "random_crop": pictures.random_crop,
        "alpha_mask": pictures.alpha_mask, "resize_interpolation": pictures.interpolation,
        "shuffle_caption": captions.shuffle, "keep_tokens": captions.keep_tokens,
        "keep_tokens_separator": captions.keep_tokens_separator, "secondary_separator": captions.secondary_separator,
        "enable_wildcard": captions.wildcards, "caption_prefix": captions.prefix, "caption_suffix": captions.suffix,
        "caption_dropout_rate": captions.caption_dropout, "caption_tag_dropout_rate": captions.tag_dropout,
        "caption_dropout_every_n_epochs": captions.dropout_every,
    }
