"""Taking the entries of another file into ours: the peer's presets, the shipped ones that a later version added.

New names come with the comments above them. A name that we have with the same meaning is skipped; one that means
something else stays ours unless the person says otherwise. Faulty entries of the other file are told, never taken.
Nothing of our own text is lost, except what "replace" is asked to replace.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lib_trainer.blocks import entry_editing as editing
from lib_trainer.blocks.edited_file import Problem
from lib_trainer.blocks.entry_text import EntryText, Format, Item, Key
from lib_trainer.blocks.hints import BARE, NO_HINT
from lib_trainer.errors import UserError

KEEP, REPLACE, BOTH = "keep", "replace", "both"
"""What becomes of a name that means something else in the other file: ours stays, theirs comes, or theirs as NAME_2."""


@dataclass(frozen=True)
class Clash:
    """A name that means one thing here and another there."""

    ours: Item
    theirs: Item


@dataclass
class Merge:
    """What came, or would come, of a merge.

    Attributes:
        text: our text with theirs merged in.
        clashing: what becomes of names that mean something else.
        added: their entries that are new here.
        same: their entries that we have.
        clashes: names that mean something else.
        taken_as: the new names of clashing entries, where both were kept.
        refused: sentences: entries that cannot be taken under their name.
        problems: what is wrong with the other file.
    """

    text: str
    clashing: str = KEEP
    added: list[Item] = field(default_factory=list)
    same: list[Item] = field(default_factory=list)
    clashes: list[Clash] = field(default_factory=list)
    taken_as: dict[Key, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    problems: Sequence[Problem] = ()


def merge(form: Format, text: str, other: str, clashing: str = KEEP) -> Merge:
    """Merges the entries of another file into a text.

    Args:
        form: the kind of both files.
        text: ours.
        other: theirs.
        clashing: KEEP, REPLACE or BOTH.
    """
    found = Merge(text, clashing, problems=form.problems(other))
    known = {item.key: item for item in form.items(text)}
    for theirs in form.items(other):
        ours = known.get(theirs.key)
        if ours is None:
            found.added.append(theirs)
        elif ours.meaning == theirs.meaning:
            found.same.append(theirs)
        else:
            found.clashes.append(Clash(ours, theirs))
    _add(form, found, EntryText(other, form))
    for clash in found.clashes:
        try:
            _settle(form, found, clash.theirs)
        except UserError as error:
            found.refused.append(str(error))
    return found


def _add(form: Format, found: Merge, source: EntryText) -> None:
    """Puts their new entries behind our last, each under the comments that it has there and that we have not."""
    ours, taken, groups = EntryText(found.text, form), list[Item](), list[list[str]]()
    contents = ours.contents
    for theirs in found.added:
        try:
            content, comment = form.write(editing.checked_name(theirs.key.name, form.noun), theirs.body, theirs.hint)
        except UserError as error:
            found.refused.append(str(error))
            continue
        above = [line for line in source.comments_above(theirs.key) if line not in contents or not line.strip("# ")]
        groups.append([*above, *([comment] if comment else [BARE] if above else []), content])
        taken.append(theirs)
    found.text, found.added = ours.add_all(groups), taken


def _settle(form: Format, found: Merge, theirs: Item) -> None:
    name = theirs.key.name
    if found.clashing == REPLACE:
        hint = theirs.hint if theirs.hint != NO_HINT else None
        found.text = editing.change(form, found.text, theirs.key, name, theirs.body, hint)
    elif found.clashing == BOTH:
        known = _known_copy(form, found.text, theirs)
        if known is None:
            known = editing.free_name(form, found.text, theirs.key)
            found.text = editing.add(form, found.text, known, theirs.body, theirs.hint)
        found.taken_as[theirs.key] = known


def _known_copy(form: Format, text: str, theirs: Item) -> str | None:
    """Returns the name of an entry NAME_n that means the same: theirs was taken before."""
    return next((item.key.name for item in form.items(text) if item.meaning == theirs.meaning
                 and item.key.arch == theirs.key.arch and item.key.name.rpartition("_")[0] == theirs.key.name), None)
