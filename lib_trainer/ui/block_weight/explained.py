"""What the prompt's tags do, in a picture of the blocks and in words, while the prompt is typed."""
from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from html import escape

from lib_trainer.blocks import explain, layers, layouts, tags
from lib_trainer.blocks.resolve import Weights, resolve_all
from lib_trainer.blocks.values import shortened
from lib_trainer.blocks.windows import ALWAYS, Window
from lib_trainer.errors import UserError
from lib_trainer.host import TRAINING_NAME, Host
from lib_trainer.lora import file as lora_file
from lib_trainer.lora.finding import find_lora
from lib_trainer.training.checks.files import SUFFIX
from lib_trainer.ui.block_weight.bars import ABSENT, bars
from lib_trainer.ui.notes import problems, problems_of, warnings

_NO_BLOCK = "others"
"""Stands for layers that lie in no block."""


def html(prompt: str, host: Host) -> str:
    """Returns what a prompt does: first what is wrong, then every LoRA, then what is worth knowing."""
    found = tags.split(prompt or "")[1]
    if not any(tag.is_lora for tag in found):
        return '<p class="tl-quiet">No LoRA tag in the prompt.</p>'
    try:
        arch = host.checkpoint().family.arch
        presets, elements = host.presets(), host.elements()
        known, sentences = _layers(found, host)
        answer = explain.explain(prompt, arch, known, presets, elements)
        weights = resolve_all(found, presets, arch, elements)
    except UserError as error:
        return problems_of(error)
    rows = "".join(_lora(name, [one for one in weights if one.name == name], by_layer, arch)
                   for name, by_layer in answer["loras"].items() if by_layer)
    return (problems([*sentences, *answer["errors"]]) + f'<div class="tl-explain">{rows}</div>'
            + warnings(answer["warnings"]))


def _layers(found: Sequence[tags.Tag], host: Host) -> tuple[dict[str, list[str]], list[str]]:
    """Returns the layers of the prompt's LoRAs, and what is wrong with their files."""
    known: dict[str, list[str]] = {}
    sentences: list[str] = []
    for name in dict.fromkeys(tag.name for tag in found if tag.is_lora and tag.name):
        known[name] = []
        try:
            path = find_lora(name, host)
            if path is None:
                sentences += [] if name == TRAINING_NAME else [_not_found(name, host)]
                continue
            known[name] = layers.layer_names(lora_file.read_header(path)[0])
        except UserError as error:
            sentences.append(str(error))
    return known, sentences


def _not_found(name: str, host: Host) -> str:
    names = [path.stem for path in host.paths.loras.rglob(f"*{SUFFIX}")]
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    advice = f"did you mean '{near[0]}'?" if near else "check the name, or put its file there."
    return f"There is no LoRA '{shortened(name)}' in {host.paths.loras}: {advice}"


def _lora(name: str, weights: Sequence[Weights], by_layer: Mapping[str, float], arch: str) -> str:
    """Returns one LoRA: name, what its tags ask for, the picture, and the numbers in words."""
    found: dict[str, list[float]] = {}
    for layer, multiplier in by_layer.items():
        found.setdefault(layers.block_of(layer, arch) or _NO_BLOCK, []).append(multiplier)
    order = [*layouts.ARCH_BLOCKS[arch], *([_NO_BLOCK] if _NO_BLOCK in found else [])]
    numbers = {block: _range(found[block]) if block in found else ABSENT for block in order}
    words = in_words({block: number for block, number in numbers.items() if number != ABSENT})
    facts = "".join(f"<code>{escape(fact)}</code> " for one in weights for fact in _facts(one))
    return (f"<div><b><code>{escape(name)}</code></b> {facts}{bars(numbers, words)}"
            f'<span class="tl-line">{escape(words)}</span></div>')


def _facts(weights: Weights) -> list[str]:
    """What a tag asks for beyond numbers: preset, rules, steps, chance."""
    rules = f"{weights.rules_label} = {', '.join(map(str, weights.rules))}" if weights.rules else ""
    chance = "R, U: drawn anew for every seed, shown for seed 0" if weights.is_random else ""
    return [fact for fact in (weights.label, rules, _steps(weights.window), chance) if fact]


def _steps(window: Window) -> str:
    if window == ALWAYS:
        return ""
    if window.is_empty:
        return f"no step (start={window.start}, stop={window.stop})"
    if window.stop is None:
        return f"from step {window.start} on"
    return f"steps {window.start} to {window.stop - 1}"


def _range(values: Sequence[float]) -> str:
    """One number where all layers of a block have it, else the least and the greatest."""
    least, greatest = min(values), max(values)
    return f"{least:.3g}" if least == greatest else f"{least:.3g} to {greatest:.3g}"


def in_words(numbers: Mapping[str, str]) -> str:
    """Writes the blocks of each number, neighbours joined: "0.8: BASE, IN01-IN08, M00; 0: OUT03-OUT05"."""
    runs: dict[str, list[list[str]]] = {}
    last = ("", "")
    for block, number in numbers.items():
        kind = block.rstrip("0123456789")
        if (kind, number) == last:
            runs[number][-1].append(block)
        else:
            runs.setdefault(number, []).append([block])
        last = (kind, number)
    return "; ".join(f"{number}: " + ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)
                     for number, found in runs.items())
