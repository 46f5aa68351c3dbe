"""Which pictures are trained, at which sizes, how many at once."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True)
class DataSettings:
    """Which pictures are trained, at which sizes, how many at once."""

    reg_images: str = setting("", "Regularisation folder", "Pictures of the same class without your subject, so that "
        "the class stays as it was (clothes stay changeable). Balanced 1:1 with the training pictures.", "Data",
        "reg_data_dir", path=True)
    repeats: int = setting(10, "Repeats", "How often a picture of a flat folder is used per epoch. N_caption "
        "sub-folders carry their own number.", "Data", "dataset_repeats", minimum=1, maximum=1000000)
    resolution: str = setting("", "Resolution", "Pixels: 512, or 512,768 for width,height. Empty = the checkpoint's "
        "own size.", "Data")
    buckets: bool = setting(True, "Aspect buckets", "Keep the pictures' aspect ratios by sorting them into sizes of "
        "equal area. Off = everything is cropped to the resolution.", "Data", "enable_bucket")
    bucket_min: int = setting(0, "Smallest bucket side", "Pixels; 0 = half the resolution (256 at 512).", "Data",
        "min_bucket_reso", minimum=0, maximum=16384)
    bucket_max: int = setting(0, "Largest bucket side", "Pixels; 0 = twice the resolution (1024 at 512).", "Data",
        "max_bucket_reso", minimum=0, maximum=16384)
    bucket_no_upscale: bool = setting(False, "Never enlarge", "Pictures smaller than the resolution keep their size "
        "(rounded down to the bucket step).", "Data")
    flip: bool = setting(False, "Mirror", "Show half the pictures mirrored. Not for asymmetric characters.", "Data",
        "flip_aug")
    batch_size: int = setting(1, "Batch size", "Pictures per step.", "Data", "train_batch_size", minimum=1,
        maximum=4096)
