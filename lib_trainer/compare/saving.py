"""The outcome of an analysis as files: numbers, heat map, and the sheets with their infotext."""
from __future__ import annotations

import json
from pathlib import Path

from lib_trainer.compare import heat_map
from lib_trainer.compare.drawing import sheet_infotext
from lib_trainer.compare.picture_run import Findings
from lib_trainer.errors import UserError

NUMBERS, HEAT_MAP = "analysis.json", "heat_map.svg"
FOLDER = "lora-analysis"
"""Folder below the host's pictures in which the page keeps what it has analysed."""


def save(findings: Findings, folder: Path) -> list[Path]:
    """Writes everything into a folder, which is made; returns the files, the sheets last.

    Raises:
        UserError: the folder cannot be written.
    """
    from PIL.PngImagePlugin import PngInfo

    analysis = findings.analysis
    drawing = heat_map.svg(analysis.of_block(), analysis.subject.present, analysis.subject.arch)
    texts = {NUMBERS: json.dumps(analysis.to_json(), indent=1, ensure_ascii=False),
             HEAT_MAP: drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)}
    files = [folder / name for name in texts]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            path.write_text(texts[path.name], encoding="utf8")
        for number, sheet in enumerate(findings.sheets, 1):
            facts = PngInfo()
            facts.add_text("parameters", sheet_infotext(findings.infotext, analysis.subject.prompt, sheet.facts))
            files.append(folder / f"sheet-{number}.png")
            sheet.image.save(files[-1], pnginfo=facts)
    except OSError as error:
        raise UserError(f"The analysis cannot be written to {folder} ({error.strerror}): make room or check rights."
                        ) from None
    return files


def free_folder(outputs: Path, lora: str) -> Path:
    """Returns a folder of the analyses that is not there yet, named after the LoRA."""
    name = "".join(letter if letter.isalnum() or letter in " -_." else "_" for letter in lora).strip(" .") or "lora"
    parent = outputs / FOLDER
    return next(path for number in range(1, 100_000) if not (path := parent / f"{number:04d}-{name}").exists())
