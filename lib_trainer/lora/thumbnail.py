"""A picture inside a LoRA file: model sites show what `modelspec.thumbnail` holds, a `data:` URL."""
from __future__ import annotations

import base64
from pathlib import Path

from lib_trainer.errors import UserError

MOST_BYTES = 1_000_000
"""Largest picture: the header of a safetensors file is read whole by every program that lists LoRAs."""

_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}


def data_url(source: str) -> str:
    """Returns a picture as a `data:` URL; one that is such a URL already comes back as it is.

    Raises:
        UserError: the file cannot be read, is too big, or is no PNG, JPEG or WebP.
    """
    if source.startswith("data:"):
        return source
    try:
        content = Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"thumbnail = {source!r}: the picture cannot be read ({error}); choose another one.") from None
    kind = next((name for begin, name in _KINDS.items() if content.startswith(begin)), "")
    if not kind:
        raise UserError(f"thumbnail = {source!r}: it is no PNG, JPEG or WebP; choose another picture.")
    if len(content) > MOST_BYTES:
        raise UserError(f"thumbnail = {source!r}: {len(content) / 1e6:.1f} MB are too much for a file's header; make "
                        "it smaller than 1 MB.")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
