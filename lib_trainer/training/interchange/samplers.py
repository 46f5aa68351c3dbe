"""Samplers of previews: sd-scripts' names with the names of the txt2img tab."""
from __future__ import annotations

OURS = {
    "ddim": "DDIM", "pndm": "PLMS", "lms": "LMS", "k_lms": "LMS", "euler": "Euler", "k_euler": "Euler",
    "euler_a": "Euler a", "k_euler_a": "Euler a", "heun": "Heun", "dpm_2": "DPM2", "k_dpm_2": "DPM2",
    "dpm_2_a": "DPM2 a", "k_dpm_2_a": "DPM2 a", "dpmsolver": "DPM++ 2M", "dpmsolver++": "DPM++ 2M",
    "dpmsingle": "DPM++ 2S a",
}
"""Ours by theirs; the first one of ours is the one written back."""

THEIRS = {ours: theirs for theirs, ours in reversed(OURS.items())}
