"""Files: where, how often, what is told in them; states; logs."""
from __future__ import annotations

from lib_trainer.training.interchange.option import joined, needless, same, unsupported

_HUB = "Nothing is uploaded: the finished file can be put on Hugging Face with `huggingface-cli upload`."
_WANDB = "Nothing is sent to other machines: logs are TensorBoard files (log_with = tensorboard)."
_CONSOLE = "The page, the API and the command line each tell the run's events."
_MERGED = "It is said of merged files and of embeddings, not of a trained LoRA: write it into `comment`."

OPTIONS = (
    same("output_dir", "path", None, "output_folder", off=""),
    same("output_name", "text", None, "name", off=""),
    same("save_precision", "text", None, off="float"),
    same("save_every_n_epochs", "int", None, "save_every_epochs", off=0),
    same("save_every_n_steps", "int", None, "save_every_steps", off=0),
    same("save_n_epoch_ratio", "int", None, "save_epoch_ratio", off=0),
    same("save_last_n_epochs", "int", None, "keep_last_epochs", off=0),
    same("save_last_n_steps", "int", None, "keep_last_steps", off=0),
    joined("save_state", "flag", False, "state_every_steps", "state_every_epochs", "state_at_end"),
    joined("save_state_on_train_end", "flag", False, "state_at_end"),
    joined("save_last_n_epochs_state", "int", None, "keep_states"),
    joined("save_last_n_steps_state", "int", None, "keep_states"),
    same("resume", "path", None, off=""),
    joined("no_metadata", "flag", False, "file_metadata"),
    same("training_comment", "text", None, "comment", off=""),
    same("metadata_title", "text", None, "title", off=""),
    same("metadata_author", "text", None, "author", off=""),
    same("metadata_description", "text", None, "description", off=""),
    same("metadata_license", "text", None, "license", off=""),
    same("metadata_tags", "text", None, "tags", off=""),
    same("metadata_usage_hint", "text", None, "usage_hint", off=""),
    same("metadata_thumbnail", "text", None, "thumbnail", off=""),
    same("metadata_trigger_phrase", "text", None, "trigger_phrase", off=""),
    unsupported("metadata_merged_from", "text", None, _MERGED),
    unsupported("metadata_preprocessor", "text", None, _MERGED),
    unsupported("metadata_is_negative_embedding", "text", None, _MERGED),
    unsupported("save_model_as", "text", "safetensors", "Files are always .safetensors: it is read everywhere and "
                "cannot carry programs."),
    joined("logging_dir", "path", None, "log_folder", "log_with"),
    joined("log_with", "text", None, "log_with"),
    same("log_prefix", "text", None, off=""),
    same("log_tracker_name", "text", None, "log_tracker", off=""),
    unsupported("wandb_run_name", "text", None, _WANDB),
    unsupported("wandb_api_key", "text", None, _WANDB),
    unsupported("log_tracker_config", "path", None, _WANDB),
    needless("log_config", "flag", False, "The settings of every run lie in its folder as config.json."),
    needless("console_log_level", "text", None, _CONSOLE),
    needless("console_log_file", "path", None, _CONSOLE),
    needless("console_log_simple", "flag", False, _CONSOLE),
    unsupported("huggingface_repo_id", "text", None, _HUB),
    unsupported("huggingface_repo_type", "text", None, _HUB),
    unsupported("huggingface_path_in_repo", "text", None, _HUB),
    unsupported("huggingface_token", "text", None, _HUB),
    unsupported("huggingface_repo_visibility", "text", None, _HUB),
    unsupported("save_state_to_huggingface", "flag", False, _HUB),
    unsupported("resume_from_huggingface", "flag", False, "A state is read from this machine: download it first and "
                "give its folder to `resume`."),
    unsupported("async_upload", "flag", False, _HUB),
    needless("config_file", "path", None, "The file it names was read as well."),
    needless("output_config", "flag", False, "Settings are written with `recipe convert` or the export menu."),
)
