"""The settings of the last picture drawn in the host's txt2img tab, for previews that are to look like it.

Only what the person set is kept, not the generation itself; nothing is copied, so it costs no time and no memory.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from lib_trainer.errors import UserError

_OTHER_MODEL = ("refiner_checkpoint", "hr_checkpoint_name")
"""Fields that make the host load another checkpoint in the middle of a picture."""

_NOT_TAKEN = {
    "sd_model", "seed", "batch_size", "n_iter", "do_not_save_samples", "do_not_save_grid", "outpath_samples",
    "outpath_grids", "firstpass_image", "overlay_images", "extra_generation_params", "comments", "sampler_index",
    "override_settings", "override_settings_restore_afterwards", "force_task_id", "refiner_switch_at", *_OTHER_MODEL,
}

_MODEL_SETTINGS = ("sd_model_checkpoint", "sd_vae", "forge_additional_modules", "forge_unet_storage_dtype")
"""Settings that make the host load something else than what is trained."""


@dataclass(frozen=True)
class Remembered:
    """What a preview takes over.

    Attributes:
        fields: arguments of the host's `StableDiffusionProcessingTxt2Img`.
        script_args: the values of the scripts' panels.
        left_out: what a preview cannot take over, as sentences.
    """

    fields: dict[str, Any]
    script_args: Sequence[Any]
    left_out: tuple[str, ...]


class LastTxt2Img:
    """Remembers one generation."""

    def __init__(self) -> None:
        self._last: Remembered | None = None

    def remember(self, p: Any) -> None:
        """Takes the settings of a generation that begins; anything but the txt2img tab's own is passed over.

        Args:
            p: the host's `StableDiffusionProcessing`, before scripts have changed it.
        """
        from modules.processing import StableDiffusionProcessingTxt2Img

        if not isinstance(p, StableDiffusionProcessingTxt2Img) or p.is_api or p.firstpass_image is not None:
            return
        values = {field.name: getattr(p, field.name) for field in fields(p)
                  if field.init and field.name not in _NOT_TAKEN}
        settings = {key: value for key, value in p.override_settings.items() if key not in _MODEL_SETTINGS}
        left_out = [f"Left out in previews: {what} (it would load another checkpoint)."
                    for what, there in _other_models(p) if there]
        if "hr_additional_modules" in values:
            values["hr_additional_modules"] = ["Use same choices"]
        self._last = Remembered({**values, "override_settings": settings}, tuple(p.script_args or ()), tuple(left_out))

    def recall(self) -> Remembered:
        """Returns what was remembered.

        Raises:
            UserError: nothing was drawn in the txt2img tab since the program started.
        """
        if self._last is None:
            raise UserError("Previews are to look like txt2img, but nothing was drawn there yet: press Generate in the "
                            "txt2img tab once, or write preview prompts and switch that setting off.")
        return self._last


def _other_models(p: Any) -> list[tuple[str, bool]]:
    return [
        ("the refiner", p.refiner_checkpoint not in (None, "", "None", "none")),
        ("the checkpoint of the hires pass", bool(p.enable_hr and p.hr_checkpoint_name)),
        ("a checkpoint, VAE or text encoder from the override settings",
         any(key in p.override_settings for key in _MODEL_SETTINGS)),
    ]
