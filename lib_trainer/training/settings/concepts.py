"""The prompts of a training without pictures: what is erased, enhanced or turned into something else."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting

PROMPTS = "Prompts"
"""The part of the fold "Method" that is for prompts."""

ACTIONS = ("erase", "enhance")


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ConceptSettings:
    """The prompts of a training without pictures."""

    concepts: str = setting("", "Concepts", "One a line. 'hat' is erased or enhanced, 'open eyes -> closed eyes' "
        "becomes the other, 'sad <-> happy' is a slider from -1 to 1. Options behind: --positive, --unconditional, "
        "--neutral, --around, --action, --guidance, --weight, --strength, --size, --batch.", "Method", lines=5,
        part=PROMPTS)
    concept_contexts: str = setting("", "Words around", "One a line, such as '1girl, smile'. Every concept is learned "
        "alone and with each of these lines before all its prompts, so that it acts in such prompts and these words "
        "keep what they do.", "Method", lines=3, part=PROMPTS)
    concept_action: str = setting("erase", "Action", "Of lines without an arrow: erase = less of it than without a "
        "prompt (leco), or as if it were not there (ileco). enhance = more of it.", "Method", choices=ACTIONS,
        part=PROMPTS)
    concept_guidance: float = setting(1.0, "Guidance of concepts", "How far it goes: 1 = all the way to the other "
        "prompt, or as far away from the concept as a prompt leads to it. Above 1 exaggerates.", "Method", minimum=0,
        maximum=1000, part=PROMPTS)
    concepts_file: str = setting("", "Prompts file", "LECO's prompts file (YAML) or that of sd-scripts (TOML), or "
        "lines as above in a .txt; its concepts are added.", "Method", "prompts_file", path=True, part=PROMPTS)
    denoising_steps: int = setting(20, "Denoising steps", "leco learns on latents that the model makes itself, from "
        "pure noise a random part of the way: steps of the whole way. More cost time; 0 = pure noise everywhere.",
        "Method", "max_denoising_steps", minimum=0, maximum=1000, part=PROMPTS)
    denoising_guidance: float = setting(3.0, "Denoising guidance", "Guidance on that way; 1 = none, which takes half "
        "the time.", "Method", "leco_denoise_guidance_scale", minimum=0, maximum=100, part=PROMPTS)
