"""Which pictures are trained, at which sizes, how many at once."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.data.picture_rules import INTERPOLATIONS
from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class DataSettings:
    """Which pictures are trained, at which sizes, how many at once."""

    reg_images: str = setting("", "Regularisation folder", "Pictures of the same class without your subject, so that "
        "the class stays as it was (clothes stay changeable). Balanced 1:1 with the training pictures.", "Data",
        "reg_data_dir", path=True)
    repeats: int = setting(10, "Repeats", "How often a picture of a flat folder is used per epoch. N_caption "
        "sub-folders carry their own number.", "Data", "dataset_repeats", minimum=1, maximum=1000000)
    resolution: str = setting("", "Resolution", "Pixels: 512, or 512,768 for width,height. Empty = the checkpoint's "
        "own size.", "Data")
    batch_size: int = setting(1, "Batch size", "Pictures per step.", "Data", "train_batch_size", minimum=1,
        maximum=4096)
    buckets: bool = setting(True, "Aspect buckets", "Keep the pictures' aspect ratios by sorting them into sizes of "
        "equal area. Off = everything is cropped to the resolution.", "Data", "enable_bucket")
    flip: bool = setting(False, "Mirror", "Show half the pictures mirrored. Not for asymmetric characters.", "Data",
        "flip_aug")
    bucket_min: int = setting(0, "Smallest bucket side", "Pixels; 0 = half the resolution (256 at 512).", "Data",
        "min_bucket_reso", minimum=0, maximum=16384, part="Sizes of buckets")
    bucket_max: int = setting(0, "Largest bucket side", "Pixels; 0 = twice the resolution (1024 at 512).", "Data",
        "max_bucket_reso", minimum=0, maximum=16384, part="Sizes of buckets")
    bucket_step: int = setting(0, "Bucket step", "Pixels: every side of a bucket is a multiple of it; 0 = as the "
        "checkpoint needs (64 for SD 1 and 2, 32 for SDXL).", "Data", "bucket_reso_steps", minimum=0, maximum=8192,
        part="Sizes of buckets")
    bucket_no_upscale: bool = setting(False, "Never enlarge", "Pictures smaller than the resolution keep their size "
        "(rounded down to the bucket step).", "Data", part="Sizes of buckets")
    random_crop: bool = setting(False, "Random crop", "Cut what does not fit into the bucket off anywhere instead of "
        "evenly on both sides. SDXL is told the true place.", "Data", part="Crops, colours, scaling")
    face_crop: str = setting("", "Face crop", "Crop around the face of pictures whose file name ends in its box, "
        "_cx_cy_w_h: from and to how many faces long the crop's shorter side is, such as 2.0,4.0. Empty = off.", "Data",
        "face_crop_aug_range", part="Crops, colours, scaling")
    color_aug: bool = setting(False, "Vary colours", "A third of the uses get a slightly other hue or gamma. Not where "
        "colours matter.", "Data", part="Crops, colours, scaling")
    interpolation: str = setting("lanczos", "Scaling", "How pictures are scaled. area = the plain average when "
        "shrinking, Lanczos when enlarging: what sd-scripts does by itself.", "Data", "resize_interpolation",
        choices=INTERPOLATIONS, part="Crops, colours, scaling")
    masked_loss: bool = setting(False, "Masked loss", "The loss counts where the masks are white, evenly by their "
        "area: a small mask learns as much as a big one.", "Data", part="Masks and transparency")
    mask_folder: str = setting("", "Mask folder", "Masks, named as their pictures: white counts, black does not. Goes "
        "before the alpha channel; needs 'Masked loss'.", "Data", "conditioning_data_dir", path=True,
        part="Masks and transparency")
    alpha_mask: bool = setting(False, "Alpha mask", "The loss counts only where a picture is not transparent.", "Data",
        part="Masks and transparency")
    background: str = setting("255,255,255", "Background", "What transparent pixels are laid on: red,green,blue from 0 "
        "to 255, or #ffffff.", "Data", part="Masks and transparency")
    datasets: str = setting("", "Dataset file", "TOML or JSON as sd-scripts' --dataset_config: several folders, each "
        "with its own repeats, captions and sizes. Takes the place of the picture folders.", "Data", "dataset_config",
        path=True, part="Dataset and metadata files")
    metadata_file: str = setting("", "Metadata file", "JSON or JSONL with caption and tags of every picture "
        "(sd-scripts' --in_json), in place of caption files. Its paths are relative to the picture folder.", "Data",
        "in_json", path=True, part="Dataset and metadata files")
