"""Pairs of pictures that differ in one thing: the same scene before and after.

Methods that learn a difference need to know which picture belongs to which. Two pictures are a pair when their names
are the same but for an ending: "face.png" and "face_after.png" in one folder, or "face.png" in each of two folders
(there the endings may stand or not). The first picture of a pair is the one "before"; the second hangs on it as
`Item.partner`, so that everything which goes with a picture (repeats, bucket, crop, mirroring) is decided once, for
both. Whatever finds no other half is told with its name: a picture that is left out unseen would be a lost pair.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lib_trainer.data.item import Item
from lib_trainer.data.scanning.gathering import Gathered, Scan, Source, gather, read
from lib_trainer.data.scanning.listing import by_stem, list_folder
from lib_trainer.data.scanning.names import ending, natural_key, stem_of
from lib_trainer.data.scanning.scan_sentences import named, unreadable_captions
from lib_trainer.data.subsets import Subset

_SHAPE = 0.02
"""Difference of aspect ratio (as a part of it) up to which two pictures are of one shape: sides were rounded."""

_TOLD = 5


@dataclass(frozen=True)
class Endings:
    """What the names of the two sides end in, before ".png"; "" = nothing."""

    before: str = ""
    after: str = "_after"


@dataclass(frozen=True)
class Paired:
    """The pairs among some pictures.

    Attributes:
        items: the first pictures, in their order, each with its partner.
        unpaired: what has no other half, in its order.
        problems: faults to be mended before training, one sentence each.
        warnings: what a person should know, one sentence each.
    """

    items: list[Item]
    unpaired: list[Item]
    problems: list[str]
    warnings: list[str]


def sides(items: Iterable[Item]) -> list[Item]:
    """Returns all pictures: those that stand alone, and both of every pair."""
    return [side for item in items for side in (item, item.partner) if side]


def first_sides(items: Iterable[Item]) -> list[Item]:
    """Returns the first picture of every pair as a picture that stands alone."""
    return [replace(item, partner=None) for item in items]


def second_sides(items: Iterable[Item]) -> list[Item]:
    """Returns the second picture of every pair as a picture that stands alone."""
    return [item.partner for item in items if item.partner]


def pair_in_one(items: Sequence[Item], endings: Endings) -> Paired:
    """Finds the pairs among the pictures of one place, told apart by the endings of their names.

    Args:
        items: pictures of both sides.
        endings: of the names; a name that ends in both belongs to the side with the longer one.
    """
    if endings.before.casefold() == endings.after.casefold():
        return Paired([], list(items), [
            f"Both sides of the pairs have names that end in {endings.after!r}: give the second picture's names an "
            "ending of their own, such as _after, or a folder of their own."], [])
    sides: dict[str, list[tuple[str, Item]]] = {"before": [], "after": []}
    foreign = []
    for item in items:
        stem = stem_of(item.file)
        side = _side(stem, endings)
        if side:
            sides[side].append((stem[: len(stem) - len(getattr(endings, side))], item))
        else:
            foreign.append(item)
    found = _joined(sides["before"], sides["after"], endings)
    if not foreign:
        return found
    told = (f"{named([item.path for item in foreign], 'picture')} of no side: names of the first picture end in "
            f"{endings.before!r}, those of the second in {endings.after!r}. Rename or remove them.")
    return replace(found, unpaired=_in_order([*found.unpaired, *foreign], items), problems=[*found.problems, told])


def pair_in_two(before: Sequence[Item], after: Sequence[Item], endings: Endings) -> Paired:
    """Finds the pairs among pictures of two places, by the same name; the endings may stand or not."""
    return _joined([(_bare(item, endings.before), item) for item in before],
                   [(_bare(item, endings.after), item) for item in after], endings)


def pair_of_two(before: Item, after: Item) -> Paired:
    """Makes a pair of two pictures, whatever they are called."""
    return _sized([_linked(before, after)], [], [])


def read_one(file: Path, subset: Subset, caption_extension: str, trigger: str) -> Scan:
    """Reads one picture as `scan.scan` reads those of a folder.

    Args:
        file: the picture.
        subset: what is asked of it; name and root are set here.
        caption_extension: ending of the caption file beside it.
        trigger: its caption where it has none.

    Raises:
        UserError: its folder cannot be opened.
    """
    listing = list_folder(file.parent)
    extension = "." + caption_extension.strip().lstrip(".").lower()
    captions = by_stem(name for name in listing.files if ending(name) == extension)
    shared = replace(subset, name=file.parent.name, root=file.parent, class_tokens=trigger)
    gathered = Gathered()
    gather([file.name], file.parent, lambda name: read(Source(listing, shared), captions, name), gathered)
    problems = unreadable_captions(gathered.unreadable)
    problems += [f"The picture {skip.path} cannot be used: {skip.reason}." for skip in gathered.skipped]
    return Scan(gathered.items, [], problems, [])


def _side(stem: str, endings: Endings) -> str:
    """Returns the side a name belongs to, "" = none; something must be left of the name."""
    fits = [(len(text), side) for side, text in (("before", endings.before), ("after", endings.after))
            if stem.casefold().endswith(text.casefold()) and len(stem.rpartition("/")[2]) > len(text)]
    return max(fits)[1] if fits else ""


def _bare(item: Item, text: str) -> str:
    stem = stem_of(item.file)
    has = text and stem.casefold().endswith(text.casefold()) and len(stem.rpartition("/")[2]) > len(text)
    return stem[: -len(text)] if has else stem


def _joined(before: Sequence[tuple[str, Item]], after: Sequence[tuple[str, Item]], endings: Endings) -> Paired:
    """Joins pictures with the same bare name: by its letters, else by what they are in whatever case."""
    firsts, seconds = dict(before), dict(after)
    loose = {name.casefold(): name for name in seconds if name not in firsts}
    partners = {name: name if name in seconds else loose.pop(name.casefold(), None) for name in firsts}
    taken = set(partners.values())
    pairs = [_linked(firsts[name], seconds[partner]) for name, partner in partners.items() if partner is not None]
    lonely = [item for name, item in before if partners[name] is None or firsts[name] is not item]
    bereft = [item for name, item in after if name not in taken or seconds[name] is not item]
    told = [
        *_doubled(before, "first"), *_doubled(after, "second"),
        *_unpaired([firsts[name] for name, partner in partners.items() if partner is None], "second", endings.after),
        *_unpaired([item for name, item in seconds.items() if name not in taken], "first", endings.before),
    ]
    return _sized(pairs, [*lonely, *bereft], told)


def _doubled(named_items: Sequence[tuple[str, Item]], side: str) -> Iterator[str]:
    """Yields a sentence for every name that several pictures of a side have (face.png and face.jpg)."""
    by_name: dict[str, list[Path]] = {}
    for name, item in named_items:
        by_name.setdefault(name, []).append(item.path)
    for name, paths in by_name.items():
        if len(paths) > 1:
            yield (f"{named(paths, 'picture')} would each be the {side} of the pair {name!r}: keep one, or rename "
                   "the others.")


def _unpaired(items: Sequence[Item], other: str, text: str) -> list[str]:
    if not items:
        return []
    first = items[0].path
    example = f", such as {first.stem}{text}{first.suffix}" if other == "second" else ""
    return [f"{named([item.path for item in items], 'picture')} without the {other} picture of the pair: add it under "
            f"the same name{f' with the ending {text!r}' if text else ''}{example}, or remove what has none."]


def _linked(first: Item, second: Item) -> Item:
    """Returns the first picture with its partner; a side without a caption file gets the caption of the other."""
    caption = second.caption if second.captioned or not first.captioned else first.caption
    own = first.caption if first.captioned or not second.captioned else second.caption
    subset = second.subset
    if subset.repeats != first.repeats:
        subset = replace(subset, repeats=first.repeats)
    has = first.captioned or second.captioned
    return replace(first, caption=own, captioned=has,
                   partner=replace(second, subset=subset, caption=caption, captioned=has))


def _sized(pairs: list[Item], unpaired: list[Item], problems: list[str]) -> Paired:
    """Looks at the sizes of pairs; only headers were read, so it costs nothing."""
    warped: list[tuple[Item, Item]] = []
    scaled: list[tuple[Item, Item]] = []
    for item in pairs:
        other = item.partner
        if other is None or (item.width, item.height) == (other.width, other.height):
            continue
        same_shape = abs(item.width * other.height / (item.height * other.width) - 1) <= _SHAPE
        (scaled if same_shape else warped).append((item, other))
    problems = [*problems, *(f"{_sizes(*one)}: bring them to the same shape, or the difference to be learned would be "
                             "their shape." for one in warped[:_TOLD])]
    if len(warped) > _TOLD:
        problems.append(f"... and {len(warped) - _TOLD} more pairs of different shapes.")
    warnings = [f"In {len(scaled)} pairs the pictures have different sizes, such as {_sizes(*scaled[0])}: the second "
                "one is scaled as the first; a difference in sharpness is learned, too."] if scaled else []
    return Paired(pairs, unpaired, problems, warnings)


def _sizes(first: Item, second: Item) -> str:
    return (f"{first.path.name} has {first.width}x{first.height} pixels and {second.path.name} "
            f"{second.width}x{second.height}")


def _in_order(some: Sequence[Item], items: Sequence[Item]) -> list[Item]:
    paths = {item.path for item in some}
    return sorted((item for item in items if item.path in paths), key=lambda item: natural_key(item.file))
