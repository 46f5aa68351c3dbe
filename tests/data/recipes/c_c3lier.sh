#!/bin/bash
# dim 64 / alpha 16 with convolutions, shuffled captions, four restarts
accelerate launch --num_cpu_threads_per_process 1 train_network.py \
  --pretrained_model_name_or_path="@MODEL@" \
  --train_data_dir="@DATA@/aru" \
  --output_dir="@OUT@" --output_name="aru_c3" \
  --resolution=576 --enable_bucket --min_bucket_reso=320 --max_bucket_reso=1536 \
  --network_module=networks.lora --network_dim=64 --network_alpha=16 \
  --network_args "conv_dim=32" "conv_alpha=1" \
  --max_train_steps=4000 --learning_rate=1e-4 --lr_scheduler=cosine_with_restarts \
  --lr_scheduler_num_cycles=4 --lr_warmup_steps=100 \
  --caption_extension=.txt --shuffle_caption --keep_tokens=1 \
  --color_aug --mixed_precision=no --save_precision=fp16 --seed=42 --sdpa
