"""What the embedded host can load: SD 1.x; of everything else it says what it is."""
from __future__ import annotations

from lib_trainer.errors import UserError
from lib_trainer.hosts.kinds import Shapes, describe

SUPPORTED = (
    "The embedded host takes Stable Diffusion 1.x checkpoints: text-to-image, U-Net, VAE and text encoder in one file."
)


def require_sd1(shapes: Shapes, where: object) -> None:
    """Passes for an SD 1.x text-to-image checkpoint.

    Args:
        shapes: shape of every tensor by its original (LDM) name.
        where: the file, for the sentence.

    Raises:
        UserError: the file holds something else; names it.
    """
    found = describe(shapes)
    if found:
        raise UserError(f"'{where}' is {found}. {SUPPORTED}")
