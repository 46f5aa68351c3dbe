"""Double of the WebUIs' pictures: fonts, and what was saved."""
from __future__ import annotations

from typing import Any

saved: list[tuple[Any, str, str]] = []
"""Image, name and infotext of everything that was saved (not in the real module)."""


def get_font(fontsize: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(fontsize)


def save_image(image: Any, path: Any, basename: str, seed: Any = None, prompt: Any = None, extension: str = "png",
               info: Any = None, short_filename: bool = False, no_prompt: bool = False, grid: bool = False,
               pnginfo_section_name: str = "parameters", p: Any = None, existing_info: Any = None,
               forced_filename: Any = None, suffix: str = "", save_to_dirs: Any = None) -> tuple[str, None]:
    saved.append((image, basename, info))
    return f"{path}/{basename}.{extension}", None
