"""Pictures drawn while it trains."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import MAX_SEED, setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class PreviewSettings:
    """Pictures drawn while it trains."""

    preview_prompts: str = setting("", "Preview prompts", "One prompt per line, drawn through the host's own pipeline. "
        "Each may have options: --n negative --w 512 --h 768 --d seed --l CFG --s steps --ss sampler. # begins a note.",
        "Previews", lines=3)
    preview_every_steps: int = setting(0, "Preview every N steps", "0 = off.", "Previews", "sample_every_n_steps",
        minimum=0, maximum=100000000)
    preview_every_epochs: int = setting(0, "Preview every N epochs", "0 = off.", "Previews", "sample_every_n_epochs",
        minimum=0, maximum=1000000)
    preview_seed: int = setting(1, "Preview seed", "The same for every preview, so that only the training changes.",
        "Previews", minimum=0, maximum=MAX_SEED)
    preview_random_seeds: int = setting(0, "Random seeds beside it", "Draws every prompt with so many other seeds as "
        "well, new ones each time: a LoRA that has overfitted draws well at the fixed seed only.", "Previews",
        minimum=0, maximum=64)
    preview_at_first: bool = setting(False, "Preview before the first step", "Shows what the checkpoint draws by "
        "itself.", "Previews", "sample_at_first")
    preview_like_txt2img: bool = setting(False, "Use the txt2img tab's last settings", "Size, sampler, steps, hires "
        "fix, styles and negative prompt as in the last picture of the txt2img tab; without preview prompts its prompt "
        "too. The embedded host has the settings below instead.", "Previews")
    preview_negative: str = setting("", "Negative prompt", "For all previews.", "Previews",
        part="Size, sampler, prompt file")
    preview_sampler: str = setting("", "Preview sampler", "Name as in txt2img; empty = the host's default.", "Previews",
        part="Size, sampler, prompt file")
    preview_steps: int = setting(20, "Preview steps", "Sampling steps.", "Previews", minimum=1, maximum=150,
        part="Size, sampler, prompt file")
    preview_cfg: float = setting(7.0, "Preview CFG", "Guidance scale.", "Previews", minimum=1, maximum=30,
        part="Size, sampler, prompt file")
    preview_width: int = setting(0, "Preview width", "Pixels; 0 = the checkpoint's own size.", "Previews", minimum=0,
        maximum=16384, part="Size, sampler, prompt file")
    preview_height: int = setting(0, "Preview height", "Pixels; 0 = the checkpoint's own size.", "Previews", minimum=0,
        maximum=16384, part="Size, sampler, prompt file")
    preview_file: str = setting("", "Prompt file", "A .txt, .toml or .json of prompts as in sd-scripts; read again at "
        "every preview.", "Previews", "sample_prompts", path=True, part="Size, sampler, prompt file")
