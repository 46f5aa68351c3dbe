"""Double of the WebUIs' folders."""
from __future__ import annotations

import os

script_path = ""
data_path = ""
models_path = ""
extensions_dir = ""
default_output_dir = ""


def move(program: str, data: str) -> None:
    """Sets the folders, as the program does from its command line when it starts (not part of the real module)."""
    globals().update(
        script_path=program,
        data_path=data,
        models_path=os.path.join(data, "models"),
        extensions_dir=os.path.join(data, "extensions"),
        default_output_dir=os.path.join(data, "outputs"),
    )
