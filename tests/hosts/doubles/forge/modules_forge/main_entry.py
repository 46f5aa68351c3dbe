"""Double of Forge's row at the top of the page: which checkpoint is chosen."""
from __future__ import annotations

from modules import sd_models, shared


def refresh_model_loading_parameters() -> None:
    sd_models.model_data.forge_loading_parameters = dict(
        checkpoint_info=sd_models.select_checkpoint(), additional_modules=[], unet_storage_dtype=None)


def checkpoint_change(ckpt_name: str, save: bool = True, refresh: bool = True) -> bool:
    """Returns whether another one is chosen now."""
    new = sd_models.get_closet_checkpoint_match(ckpt_name)
    if new is sd_models.get_closet_checkpoint_match(shared.opts.data.get("sd_model_checkpoint", "")):
        return False
    shared.opts.set("sd_model_checkpoint", ckpt_name)
    if refresh:
        refresh_model_loading_parameters()
    return True
