"""All operations of the workbench by name, in the tab's order."""
from __future__ import annotations

from lib_trainer.errors import UserError
from lib_trainer.workbench.forms import (
    bake,
    convert,
    extract,
    inspect,
    into_checkpoint,
    merge,
    metadata,
    prune,
    resize,
)
from lib_trainer.workbench.forms.form import Form

FORMS: dict[str, Form] = {form.name: form for form in (
    merge.FORM, into_checkpoint.FORM, resize.FORM, extract.FORM, bake.FORM, convert.FORM, prune.FORM, metadata.FORM,
    inspect.FORM,
)}


def find(name: str) -> Form:
    """Returns the form of an operation.

    Raises:
        UserError: there is none of this name.
    """
    if name not in FORMS:
        raise UserError(f"There is no operation '{name}': there are {', '.join(FORMS)}.")
    return FORMS[name]
