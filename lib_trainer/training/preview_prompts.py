"""What previews are drawn of: lines with sd-scripts' options, prompt files, and what the settings say for the rest.

A line is a prompt, then options in any order: `zunko, smile --n blur --w 512 --h 768 --d 1 --l 7 --s 28 --ss euler_a`.
Files are .txt (a line each, # begins a note), .toml ([prompt] with [[prompt.subset]]) and .json (a list of lines or of
objects), all as sd-scripts reads them.
"""
from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lib_trainer import seeds
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.host_model import PreviewRequest
from lib_trainer.training import config_values
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange.samplers import OURS

RANDOM = -1
"""The seed that stands for another one at every preview."""

_SEEDS = 2**32
"""Seeds of pictures are below this, the WebUIs' range."""

_FILES = (".txt", ".toml", ".json")

_OPTION = re.compile(r"(?:^|\s)--([A-Za-z]+)(?=\s|$)")


@dataclass(frozen=True)
class PreviewPrompt:
    """One picture to draw at every preview.

    Attributes:
        request: what is drawn; the fields that the line does not give are the settings'.
        notes: what of the line is not used here, as sentences.
    """

    request: PreviewRequest
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Drawing:
    """One picture of one preview. `is_random`: whether its seed is another one at every preview."""

    request: PreviewRequest
    is_random: bool


def drawings(config: TrainConfig, step: int) -> list[Drawing]:
    """Returns the pictures of the previews after some update: every prompt with its seed, then with random ones.

    A LoRA that only copies its pictures draws them again at fixed seeds and falls apart at others; so the random seeds
    differ from step to step, and follow from the run's seed and the step alone.

    Raises:
        UserError: the prompts cannot be read.
    """
    found = []
    for index, prompt in enumerate(prompts(config)):
        request = prompt.request
        fixed = request.seed != RANDOM
        found.append(Drawing(request if fixed else _seeded(config, request, step, index, 0), not fixed))
        found += [Drawing(_seeded(config, request, step, index, number), True)
                  for number in range(1, config.preview_random_seeds + 1)]
    return found


def _seeded(config: TrainConfig, request: PreviewRequest, step: int, index: int, number: int) -> PreviewRequest:
    return replace(request, seed=seeds.derive(config.seed, "preview", step, index, number) % _SEEDS)


def with_sampler_of(host: Host, request: PreviewRequest) -> PreviewRequest:
    """Returns the request with the host's default sampler where the host has not the one that is wanted."""
    return request if has_sampler(host, request.sampler) else replace(request, sampler="")


def has_sampler(host: Host, name: str) -> bool:
    """Whether a host can draw with a sampler; older names have the scheduler behind them ("DPM++ 2M Karras")."""
    known = [sampler.lower() for sampler in host.samplers()]
    wanted = name.lower()
    return not wanted or any(wanted == sampler or wanted.startswith(f"{sampler} ") for sampler in known)


def prompts(config: TrainConfig) -> list[PreviewPrompt]:
    """Returns what the settings want drawn: the file's prompts, then those of the form.

    Raises:
        UserError: a line or the file cannot be read; names it.
    """
    like = common(config)
    found = _file(Path(config.preview_file), like) if config.preview_file else []
    found += [_line(line, like) for line in _lines(config.preview_prompts)]
    if not found and config.preview_like_txt2img:
        return [PreviewPrompt(like)]
    return found


def literal(caption: str) -> str:
    """Returns a caption as a prompt that means the same: brackets are no emphasis."""
    return re.sub(r"(?<!\\)([()\[\]])", r"\\\1", caption).strip()


def common(config: TrainConfig) -> PreviewRequest:
    """Returns what the settings say of every preview: all but the prompt."""
    return PreviewRequest(
        prompt="", negative=config.preview_negative, seed=config.preview_seed, steps=config.preview_steps,
        cfg=config.preview_cfg, width=config.preview_width, height=config.preview_height,
        sampler=OURS.get(config.preview_sampler.lower(), config.preview_sampler), clip_skip=config.clip_skip,
        like_txt2img=config.preview_like_txt2img,
        prediction="" if config.prediction == "auto" else config.prediction,
        zero_terminal_snr=config.zero_terminal_snr,
    )


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _file(path: Path, base: PreviewRequest) -> list[PreviewPrompt]:
    """Reads a prompt file.

    Raises:
        UserError: it cannot be read or holds no prompt.
    """
    kind = path.suffix.lower()
    if kind not in _FILES:
        raise UserError(f"The prompt file {path} must end in {', '.join(_FILES[:-1])} or {_FILES[-1]}.")
    try:
        if kind == ".txt":
            entries: list[Any] = _lines(path.read_text(encoding="utf-8-sig"))
        elif kind == ".toml":
            entries = _subsets(config_values.read_file(path))
        else:
            entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The prompt file {path} cannot be read ({error}): give a text file in UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"The prompt file {path} is not valid JSON: {error}.") from None
    if not isinstance(entries, list) or not entries:
        raise UserError(f"The prompt file {path} holds no prompts: write one per line, or a list of them.")
    try:
        return [_line(entry, base) if isinstance(entry, str) else _object(entry, base) for entry in entries]
    except UserError as error:
        raise UserError(f"The prompt file {path}: {error}") from None


def _subsets(table: Mapping[str, Any]) -> list[Any]:
    """Returns the prompts of a TOML file: [prompt] holds for all of [[prompt.subset]]."""
    common = table.get("prompt")
    if not isinstance(common, Mapping):
        raise UserError("a TOML file needs a table [prompt], and [[prompt.subset]] where there are several.")
    shared = {key: value for key, value in common.items() if key != "subset"}
    subsets = common.get("subset", [{}])
    if not isinstance(subsets, list) or not all(isinstance(subset, Mapping) for subset in subsets):
        raise UserError("'subset' of [prompt] must be written as [[prompt.subset]].")
    return [{**shared, **subset} for subset in subsets]


def _line(text: str, base: PreviewRequest) -> PreviewPrompt:
    """Reads a line; its options win over the settings.

    Raises:
        UserError: an option has no value that can be read.
    """
    prompt, *rest = _OPTION.split(text)
    values: dict[str, str] = {}
    notes: list[str] = []
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        key = _SHORT.get(name.lower())
        if key in values:
            raise UserError(f"'--{name}' is given twice in '{_cut(text)}': leave one of them out.")
        if key:
            values[key] = value.strip()
        elif name.lower() in _ELSEWHERE:
            notes.append(f"'--{name}' of the preview '{_cut(prompt.strip())}' is not used: {_ELSEWHERE[name.lower()]}.")
        else:
            raise UserError(f"'--{name}' in '{_cut(text)}' is no option of a preview: there are "
                            f"{', '.join('--' + short for short in _SHORT)}.")
    return _made(base, {"prompt": prompt.strip(), **values}, notes)


def _object(entry: object, base: PreviewRequest) -> PreviewPrompt:
    """Reads an object of a TOML or JSON file.

    Raises:
        UserError: it is none, or has an unknown key or a value that cannot be read.
    """
    if not isinstance(entry, Mapping):
        raise UserError(f"{_cut(repr(entry))} is neither a line nor an object with a prompt.")
    values = {str(key): value for key, value in entry.items() if value is not None}
    notes = [f"'{key}' of the preview '{_cut(str(entry.get('prompt', '')))}' is not used: {reason}."
             for key, reason in _ELSEWHERE_KEYS.items() if values.pop(key, None) is not None]
    for key in values:
        if key not in _READERS:
            raise UserError(f"'{key}' is no part of a preview: there are {', '.join(_READERS)}.")
    return _made(base, values, notes)


def _made(base: PreviewRequest, values: Mapping[str, Any], notes: list[str]) -> PreviewPrompt:
    given: dict[str, Any] = {}
    for key, value in values.items():
        name, read = _READERS[key]
        given[name] = read(key, value)
        if str(value).lower() in _NEAREST and key == "sample_sampler":
            notes.append(f"The sampler '{value}' of a preview is drawn as '{given[name]}', the nearest there is.")
        if key in ("width", "height") and given[name] != int(float(value)):
            notes.append(f"A preview's {key} of {value} is drawn as {given[name]}: sides are multiples of 8 from 64.")
    explicit = frozenset(name for name in given if name not in ("prompt", "seed"))
    return PreviewPrompt(replace(base, **given, explicit=explicit), notes)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise UserError(f"{key} = {_cut(repr(value))}: a preview's {key} is a text.")
    return value.strip()


def _sampler(key: str, value: object) -> str:
    name = _text(key, value)
    return OURS.get(name.lower(), name)


def _number(key: str, value: object, least: float, greatest: float, whole: bool) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not least <= number <= greatest or (whole and number != int(number)):
        raise UserError(f"{key} = {_cut(str(value))!r}: a preview's {key} is a {'whole ' if whole else ''}number from "
                        f"{least:g} to {greatest:g}.")
    return number


def _side(key: str, value: object) -> int:
    """Rounds down to a multiple of 8, as sd-scripts does."""
    return max(64, int(_number(key, value, 1, 16384, whole=True)) // 8 * 8)


def _steps(key: str, value: object) -> int:
    return int(_number(key, value, 1, 150, whole=True))


def _cfg(key: str, value: object) -> float:
    return _number(key, value, 1, 30, whole=False)


def _seed(key: str, value: object) -> int:
    return int(_number(key, value, RANDOM, 2**53 - 1, whole=True))


_READERS: dict[str, tuple[str, Callable[[str, object], Any]]] = {
    "prompt": ("prompt", _text), "negative_prompt": ("negative", _text), "width": ("width", _side),
    "height": ("height", _side), "seed": ("seed", _seed), "scale": ("cfg", _cfg), "sample_steps": ("steps", _steps),
    "sample_sampler": ("sampler", _sampler),
}
"""sd-scripts' key in files -> field of the request, and how its value is read."""

_SHORT = {"n": "negative_prompt", "w": "width", "h": "height", "d": "seed", "l": "scale", "s": "sample_steps",
          "ss": "sample_sampler"}
"""Option of a line -> key of a file."""

_NEAREST = ("dpmsolver", "dpmsingle")
"""Samplers of sd-scripts that the WebUIs have only in a newer or an ancestral form."""

_ELSEWHERE = {
    "g": "guidance that is distilled is for other models", "cn": "there is no ControlNet in previews",
    "ctr": "it is for other models", "rcfg": "it is for other models", "fs": "it is for other models",
}
"""Options of sd-scripts that mean nothing for SD 1.x, 2.x and SDXL."""

_ELSEWHERE_KEYS = {
    "guidance_scale": _ELSEWHERE["g"], "controlnet_image": _ELSEWHERE["cn"], "cfg_trunc_ratio": _ELSEWHERE["ctr"],
    "renorm_cfg": _ELSEWHERE["rcfg"], "flow_shift": _ELSEWHERE["fs"], "enum": "it is a number of sd-scripts' own",
}


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."
