"""What the embedded host can load: SD 1.x, SD 2.x and SDXL; of everything else it says what it is."""
from __future__ import annotations

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.hosts.kinds import UNET, VAE, Shapes, family_of

SUPPORTED = (
    "The embedded host takes Stable Diffusion 1.x, 2.x and SDXL checkpoints: text-to-image, U-Net, VAE and text "
    "encoders in one file."
)


def require_family(shapes: Shapes, where: object) -> Family:
    """Returns the family of a text-to-image checkpoint.

    Args:
        shapes: shape of every tensor by its original (LDM) name.
        where: the file, for the sentence.

    Raises:
        UserError: the file holds something else; names it.
    """
    family, found = family_of(shapes)
    if family is None:
        raise UserError(f"'{where}' is {found}. {SUPPORTED}")
    missing = [label for label, prefix in (("U-Net", UNET), ("VAE", VAE))
               if not any(name.startswith(prefix) for name in shapes)]
    if missing:
        raise UserError(f"'{where}' is a checkpoint without its {' and '.join(missing)}. {SUPPORTED}")
    return family
