"""Optimiser, learning rates, schedule, length and seed."""
from __future__ import annotations

from lib_trainer.training.interchange.option import joined, needless, same, unsupported

_SHARDED = ("DeepSpeed does not run here: several cards train the same LoRA with `accelerate launch -m lib_trainer "
            "train`.")
_DATA_PARALLEL = "The processes of a run add their gradients up once per update, without DDP."

OPTIONS = (
    joined("optimizer_type", "text", "", "optimizer"),
    joined("use_8bit_adam", "flag", False, "optimizer"),
    joined("use_lion_optimizer", "flag", False, "optimizer"),
    joined("optimizer_args", "text", None, "optimizer_args", several=True),
    joined("learning_rate", "float", 2e-06, "learning_rate"),
    joined("unet_lr", "float", None, "unet_lr"),
    joined("text_encoder_lr", "float", None, "text_encoder_lr", "text_encoder2_lr", several=True),
    joined("lr_scheduler", "text", "constant", "scheduler"),
    joined("lr_scheduler_type", "text", "", "scheduler"),
    joined("lr_scheduler_args", "text", None, "scheduler_args", several=True),
    joined("lr_warmup_steps", "steps", 0, "warmup"),
    joined("lr_decay_steps", "steps", 0, "decay"),
    same("lr_scheduler_num_cycles", "int", 1, "cycles"),
    same("lr_scheduler_power", "float", 1, "power"),
    same("lr_scheduler_timescale", "int", None, "timescale", off=0),
    same("lr_scheduler_min_lr_ratio", "float", None, "min_lr_ratio", off=0.0),
    same("max_grad_norm", "float", 1.0),
    same("gradient_accumulation_steps", "int", 1, "gradient_accumulation"),
    joined("max_train_steps", "int", 1600, "steps"),
    joined("max_train_epochs", "int", None, "epochs", "steps"),
    joined("seed", "int", None, "seed"),
    needless("fused_backward_pass", "flag", False, "It saves memory only where all weights of the model are trained."),
    unsupported("initial_epoch", "int", None, "A run begins with its first epoch, or where the state of `resume` "
                "ended."),
    unsupported("initial_step", "int", None, "A run begins with its first step, or where the state of `resume` "
                "ended."),
    needless("skip_until_initial_step", "flag", False, "A resumed run always goes on with the very pictures that "
             "would have followed."),
    needless("ddp_timeout", "int", None, _DATA_PARALLEL),
    needless("ddp_gradient_as_bucket_view", "flag", False, _DATA_PARALLEL),
    needless("ddp_static_graph", "flag", False, _DATA_PARALLEL),
    unsupported("deepspeed", "flag", False, _SHARDED),
    unsupported("zero_stage", "int", 2, _SHARDED),
    unsupported("offload_optimizer_device", "text", None, _SHARDED),
    unsupported("offload_optimizer_nvme_path", "path", None, _SHARDED),
    unsupported("offload_param_device", "text", None, _SHARDED),
    unsupported("offload_param_nvme_path", "path", None, _SHARDED),
    unsupported("zero3_init_flag", "flag", False, _SHARDED),
    unsupported("zero3_save_16bit_model", "flag", False, _SHARDED),
    unsupported("fp16_master_weights_and_gradients", "flag", False, _SHARDED),
)
