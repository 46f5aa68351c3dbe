"""Starting points by goal: what people who train LoRAs arrived at, each with its reason.

A goal is a set of changes to `TrainConfig`; everything it does not name stays as it is, so a goal can be applied to a
filled-in form. To add a goal is to add an entry.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Goal:
    """One starting point.

    Attributes:
        label: name on the page.
        reason: why these values, and what data they want.
        changes: values by field name of `TrainConfig`.
    """

    label: str
    reason: str
    changes: dict[str, Any] = field(default_factory=dict)


SLIDER_STRENGTHS = "-1, 0, 1"
"""What a slider is used at, its middle being the checkpoint alone: so its result is drawn at the end."""

_PICTURES: dict[str, Any] = {"method": "lora", "min_timestep": 0, "max_timestep": 1000, "warmup": "0"}
"""What goals that learn pictures have in common, so that a goal for pairs or rounds leaves nothing behind."""

_PAIRS: dict[str, Any] = {
    "method": "addift", "epochs": 10, "batch_size": 1, "rank": 4, "alpha": 1.0, "conv_rank": 0, "blocks": "",
    "train_unet": True, "train_text_encoder": False, "reg_images": "", "validation_split": 0.0, "optimizer": "CAME",
    "optimizer_args": "", "unet_lr": "", "scheduler": "cosine_with_min_lr", "min_lr_ratio": 0.1, "noise_offset": 0.0,
    "min_snr_gamma": 5.0, "difference_strength": 0.25, "slider_strengths": SLIDER_STRENGTHS,
}
"""What goals that learn the difference of pairs have in common: the method's own numbers (its author's presets)."""

_COPIERS: dict[str, Any] = {
    "method": "difference", "steps": 0, "epochs": 4, "batch_size": 12, "rank": 16, "alpha": 16.0, "conv_rank": 8,
    "conv_alpha": 8.0, "blocks": "", "train_unet": True, "train_text_encoder": False, "reg_images": "",
    "validation_split": 0.0, "optimizer_args": "", "learning_rate": "1e-3", "unet_lr": "", "scheduler": "constant",
    "warmup": "0", "noise_offset": 0.0, "min_snr_gamma": 0.0, "min_timestep": 0, "max_timestep": 1000,
    "cache_latents": True, "cache_captions": True, "copier_way": "subtract", "copier_score": 0.9,
    "copier_patience": 1, "copier_level": 3, "copier_seeds": "1, 2", "copier_every_steps": 8,
    "copier_reduction": "exact", "preview_every_steps": 0, "preview_every_epochs": 0, "preview_at_first": False,
    "slider_strengths": SLIDER_STRENGTHS,
}
"""What goals of two copiers have in common: 192 uses of a picture in an epoch of 16 steps, as in the article.

A copier ends when it copies (`methods.copy_rule`), looked at twice an epoch; `epochs` is only the longest it may take.
"""

_PROMPTS: dict[str, Any] = {
    "method": "leco", "epochs": 10, "conv_rank": 0, "blocks": "", "train_unet": True, "train_text_encoder": False,
    "validation_split": 0.0, "save_every_epochs": 0, "save_epoch_ratio": 0, "preview_every_epochs": 0,
    "state_every_epochs": 0, "optimizer": "AdamW", "optimizer_args": "", "unet_lr": "", "warmup": "0",
    "min_timestep": 0, "max_timestep": 1000, "concept_action": "erase", "denoising_steps": 20,
    "denoising_guidance": 3.0, "min_snr_gamma": 0.0, "slider_strengths": SLIDER_STRENGTHS,
}
"""What goals that learn from prompts have in common: there are no pictures by which epochs could be counted."""

_DEMO_WORDS = """1girl, blonde hair, short hair, smile, red shirt, blue background
1girl, black hair, long hair, open mouth, white shirt, outdoors, holding star
1girl, blue hair, long hair, smile, black shirt, pink background
1girl, red hair, short hair, smile, blue shirt, night
1girl, white hair, long hair, open mouth, red shirt, yellow background, holding ball
1girl, blue hair, short hair, open mouth, white shirt, outdoors
1girl, blonde hair, long hair, smile, black shirt, purple background, holding star
1girl, black hair, short hair, smile, blue shirt, blue background"""
"""Prompts of the demo checkpoint's world that leave the eyes open to chance."""

GOALS: dict[str, Goal] = {
    "character": Goal(
        "Character",
        "4,000-6,000 steps on 50 or more pictures. A small rank and only IN04-IN07 + OUT03-OUT06 hold a character "
        "(eyes need the IN part), cost less and leave the rest of the picture alone; convolutions would add nothing. "
        "D-Adaptation finds the rate itself. Train on the anime model itself; keep captions as they are, or put the "
        "body's traits into one trigger tag.",
        {**_PICTURES,
         "steps": 5000, "rank": 8, "alpha": 2.0, "conv_rank": 0, "blocks": "IN04-IN07, OUT03-OUT06",
         "optimizer": "DAdaptLion", "optimizer_args": "", "learning_rate": "1", "unet_lr": "", "text_encoder_lr": "",
         "scheduler": "constant"},
    ),
    "character_sdxl": Goal(
        "Character, SDXL, 8 GB card",
        "2,500-4,000 steps on 30 or more pictures at 1024 pixels (512 breaks shapes); the base is no merge. The U-Net "
        "in 8 bits, checkpointing, cached pictures and captions and the text encoders left alone take about 5 GB while "
        "it trains. A WebUI must store the checkpoint in 8 bits itself.",
        {**_PICTURES,
         "steps": 3000, "resolution": "1024", "batch_size": 1, "rank": 8, "alpha": 2.0, "conv_rank": 0, "blocks": "",
         "train_unet": True, "train_text_encoder": False, "optimizer": "Lion", "optimizer_args": "",
         "learning_rate": "1e-4", "unet_lr": "", "scheduler": "constant", "base_precision": "fp8_unet",
         "gradient_checkpointing": True, "cache_latents": True, "cache_captions": True, "offload": True,
         "vae_batch_size": 1},
    ),
    "pose": Goal(
        "Pose, situation, expression",
        "9,000 steps or more on 45-140 pictures: poses react late. All blocks and the convolutions, since a pose is "
        "shape at every size; alpha 1 keeps the many steps gentle.",
        {**_PICTURES,
         "steps": 9000, "rank": 16, "alpha": 1.0, "conv_rank": 16, "conv_alpha": 1.0, "blocks": "",
         "optimizer": "AdamW", "optimizer_args": "", "learning_rate": "1e-4", "unet_lr": "", "text_encoder_lr": "",
         "scheduler": "constant"},
    ),
    "scenery": Goal(
        "Scenery, background",
        "At most 5,000 steps on about 50 photos. Plain LoRA: convolutions overfit on scenery. Keep the tags of people "
        "in the captions, and use the result with :NCNF so that it leaves the character alone.",
        {**_PICTURES,
         "steps": 5000, "rank": 32, "alpha": 8.0, "conv_rank": 0, "blocks": "", "optimizer": "AdamW",
         "optimizer_args": "", "learning_rate": "1e-4", "unet_lr": "", "text_encoder_lr": "", "scheduler": "constant"},
    ),
    "style": Goal(
        "Painting style",
        "About 4,000 steps on about 100 pictures, close-ups among them. U-Net only changes the paint and not the "
        "composition; switch the text encoder on if the composition should follow.",
        {**_PICTURES,
         "steps": 4000, "rank": 32, "alpha": 16.0, "conv_rank": 0, "blocks": "", "train_unet": True,
         "train_text_encoder": False, "optimizer": "AdamW", "optimizer_args": "", "learning_rate": "1e-4",
         "unet_lr": "", "scheduler": "constant"},
    ),
    "object": Goal(
        "Hand-held object",
        "9,000-16,000 steps on about 100 pictures with 8 repeats. A big rank and the convolutions, since an object is "
        "all detail. Rename ambiguous tags; use the result at 0.8 with :NCNF so that it does not change faces.",
        {**_PICTURES,
         "steps": 12000, "repeats": 8, "rank": 64, "alpha": 1.0, "conv_rank": 64, "conv_alpha": 1.0, "blocks": "",
         "optimizer": "AdamW", "optimizer_args": "", "learning_rate": "1e-4", "unet_lr": "", "text_encoder_lr": "",
         "scheduler": "constant"},
    ),
    "person": Goal(
        "Real person",
        "10 epochs (98,000 steps with 98 face pictures of 768 pixels, 50 repeats, and 520 regularisation pictures); "
        "the best epoch was the 7th, so every epoch is saved: compare them. A big rank for a likeness; the text "
        "encoder learns at half the rate.",
        {**_PICTURES,
         "steps": 0, "epochs": 10, "save_every_epochs": 1, "resolution": "768", "rank": 128, "alpha": 128.0,
         "conv_rank": 0, "blocks": "", "optimizer": "AdamW8bit", "optimizer_args": "", "learning_rate": "5e-5",
         "unet_lr": "1e-4", "text_encoder_lr": "5e-5", "scheduler": "constant"},
    ),
    "relora": Goal(
        "Huge data set, in rounds",
        "Tens of thousands of pictures (ReLoRA): train, merge into a copy of the checkpoint, halve the rate, train on. "
        "The rounds add up to more than one LoRA of their rank can hold. Every picture once a round; latents are kept "
        "on the disk, since so many do not fit in memory, and a warm-up begins every round.",
        {**_PICTURES, "method": "relora", "rounds": 3, "round_rate": "0.5", "round_result": "both", "round_rank": 128,
         "steps": 0, "epochs": 1, "resolution": "768", "batch_size": 5, "rank": 128, "alpha": 24.0, "conv_rank": 128,
         "conv_alpha": 24.0, "blocks": "", "optimizer": "AdamW8bit", "optimizer_args": "", "learning_rate": "1e-4",
         "unet_lr": "", "text_encoder_lr": "5e-5", "scheduler": "cosine", "warmup": "5%", "cache_latents": True,
         "cache_to_disk": True, "gradient_checkpointing": True, "state_every_minutes": 30, "keep_states": 2},
    ),
    "demo": Goal(
        "Demo checkpoint",
        "The sample dataset on the small demo checkpoint: learns in a few minutes on two CPU cores. A narrow model has "
        "few numbers, so it takes a high rate; not for real checkpoints.",
        {**_PICTURES,
         "steps": 700, "epochs": 10, "batch_size": 4, "rank": 16, "alpha": 16.0, "conv_rank": 0, "blocks": "",
         "train_unet": True, "train_text_encoder": False, "optimizer": "AdamW", "optimizer_args": "",
         "learning_rate": "2e-3", "unet_lr": "", "scheduler": "cosine"},
    ),
    "slider": Goal(
        "Slider from pairs: a thing",
        "1 pair or some, 30-100 steps (ADDifT): eyes, mouth, pose, glasses. Things are settled in the noisy half of "
        "the timesteps, 500-1000; more steps wear the picture into the model. One caption for both pictures, which "
        "does not name the thing. Batch 1: more steps teach more than bigger ones. For SDXL double the rate.",
        {**_PAIRS, "steps": 30, "learning_rate": "1e-4", "min_timestep": 500, "max_timestep": 1000},
    ),
    "slider_style": Goal(
        "Slider from pairs: a style",
        "1 pair or some of the same scene in both styles, 30-100 steps (ADDifT). Lines and paint are settled where "
        "little noise is left, 200-400, and the composition is not touched there. It learns gently: the result may "
        "want a strength of 2-5. For SDXL a rate of 2e-4.",
        {**_PAIRS, "steps": 50, "learning_rate": "5e-5", "min_timestep": 200, "max_timestep": 400},
    ),
    "demo_slider": Goal(
        "Demo checkpoint, pairs",
        "The pairs of the sample dataset (open and closed eyes) on the small demo checkpoint: a slider in a minute on "
        "two CPU cores. A narrow model takes a high rate and rank; not for real checkpoints.",
        {**_PAIRS, "steps": 60, "rank": 16, "alpha": 16.0, "optimizer": "AdamW", "learning_rate": "1e-3",
         "scheduler": "cosine", "min_snr_gamma": 0.0, "min_timestep": 500, "max_timestep": 1000,
         "before_suffix": "_open", "after_suffix": "_closed"},
    ),
    "copiers": Goal(
        "Slider from copiers, as in the article",
        "1 pair (copier learning, SDXL): a LoRA is overfitted on each picture at batch 12, until the samples at "
        "seeds 1 and 2 copy it as well as they will (64 steps there, 128 at most here); then one is subtracted from "
        "the other. One caption for both pictures, such as 'girl, face closeup'; no noise offset; a rate of 2e-4 at "
        "batch 4. If it fails: another seed, more steps, another rank, dropouts of 0.1, or more pairs with as many "
        "fewer repeats.",
        {**_COPIERS, "repeats": 192, "epochs": 8, "optimizer": "AdamW8bit", "precision": "bf16"},
    ),
    "demo_copiers": Goal(
        "Demo checkpoint, copiers",
        "The pairs of the sample dataset (open and closed eyes) on the small demo checkpoint, by two copiers: some "
        "minutes on two CPU cores. Not for real checkpoints.",
        {**_COPIERS, "repeats": 48, "epochs": 6, "conv_rank": 0, "optimizer": "AdamW", "learning_rate": "4e-3",
         "scheduler": "cosine", "precision": "auto", "min_timestep": 500, "preview_steps": 10, "preview_cfg": 4.0,
         "before_suffix": "_open", "after_suffix": "_closed"},
    ),
    "erase": Goal(
        "Erase a concept, no pictures",
        "500 steps on prompts alone (LECO): write what shall go, one thing a line. The model learns to draw less of it "
        "than without a prompt, so at strength -1 there is more of it. Rank 4 and a low rate leave all else alone; "
        "words around it that often go with it keep what they do.",
        {**_PROMPTS, "steps": 500, "batch_size": 2, "rank": 4, "alpha": 1.0, "learning_rate": "1e-4",
         "scheduler": "constant", "concept_guidance": 1.0},
    ),
    "change": Goal(
        "Change a concept, no pictures",
        "300 steps on prompts alone (iLECO): write 'red -> blue'. The first prompt learns what the model says of the "
        "second, about pure noise, so a step costs a fraction of LECO's. Alpha above the rank, since the way is short; "
        "Min-SNR 5 keeps what is decided late from drowning the rest.",
        {**_PROMPTS, "method": "ileco", "steps": 300, "batch_size": 2, "rank": 4, "alpha": 8.0,
         "learning_rate": "5e-4", "scheduler": "cosine", "concept_guidance": 1.0, "min_snr_gamma": 5.0},
    ),
    "slider_prompts": Goal(
        "Slider from prompts, no pictures",
        "1,000 steps on prompts alone (concept sliders): write 'sad <-> happy --around person'. Both ends are learned, "
        "each at its own strength, so the LoRA goes from -1 to 1. Guidance 4 pulls the ends apart; words that shall "
        "not change with it (such as 'male' and 'female') go around it.",
        {**_PROMPTS, "steps": 1000, "batch_size": 1, "rank": 4, "alpha": 1.0, "learning_rate": "2e-4",
         "scheduler": "constant", "concept_guidance": 4.0},
    ),
    "demo_prompts": Goal(
        "Demo checkpoint, prompts",
        "A slider for open and closed eyes on the small demo checkpoint, without any picture: some minutes on two CPU "
        "cores. A narrow model takes a high rate and rank; not for real checkpoints.",
        {**_PROMPTS, "steps": 150, "batch_size": 4, "rank": 16, "alpha": 16.0, "learning_rate": "4e-3",
         "scheduler": "cosine", "concepts": "open eyes <-> closed eyes", "concept_contexts": _DEMO_WORDS,
         "concept_guidance": 3.0, "denoising_steps": 8, "denoising_guidance": 1.0},
    ),
}
"""The goals by short name, in the order in which they are offered."""
