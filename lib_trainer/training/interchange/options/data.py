"""Pictures, their sizes, regularisation and augmentation."""
from __future__ import annotations

from lib_trainer.training.interchange.option import joined, needless, same, unsupported

OPTIONS = (
    same("train_data_dir", "path", None, "images", off=""),
    same("reg_data_dir", "path", None, "reg_images", off=""),
    same("dataset_config", "path", None, "datasets", off=""),
    same("in_json", "path", None, "metadata_file", off=""),
    joined("dataset_repeats", "int", 1, "repeats"),
    joined("resolution", "text", None, "resolution"),
    same("train_batch_size", "int", 1, "batch_size"),
    same("enable_bucket", "flag", False, "buckets"),
    joined("min_bucket_reso", "int", 256, "bucket_min"),
    joined("max_bucket_reso", "int", 1024, "bucket_max"),
    joined("bucket_reso_steps", "int", 64, "bucket_step"),
    same("bucket_no_upscale", "flag", False),
    same("resize_interpolation", "text", None, "interpolation", off="area",
         words={"bilinear": "bilinear", "bicubic": "bicubic", "linear": "bilinear", "cubic": "bicubic"}),
    same("flip_aug", "flag", False, "flip"),
    same("color_aug", "flag", False),
    same("random_crop", "flag", False),
    same("face_crop_aug_range", "text", None, "face_crop", off=""),
    same("alpha_mask", "flag", False),
    same("masked_loss", "flag", False),
    same("conditioning_data_dir", "path", None, "mask_folder", off=""),
    same("prior_loss_weight", "float", 1.0),
    needless("cache_info", "flag", False, "Folders are always read afresh, and only what changed is decoded again."),
    needless("skip_cache_check", "flag", False, "A cache is found by what it was made of, so there is nothing to "
             "check."),
    needless("max_data_loader_n_workers", "int", 8, "Pictures are read by threads of the trainer itself."),
    needless("persistent_data_loader_workers", "flag", False, "Pictures are read by threads of the trainer itself."),
    unsupported("dataset_class", "text", None, "A data set of your own Python class cannot be trained: write its "
                "pictures and captions to a folder."),
    unsupported("debug_dataset", "flag", False, "No window shows the batches: the tab's data card tells buckets, "
                "crops and captions before the start."),
)
