@echo off
rem only IN04-07 and OUT03-06 learn
accelerate launch --num_cpu_threads_per_process 1 train_network.py ^
  --pretrained_model_name_or_path="@MODEL@" ^
  --train_data_dir="@DATA@/aru" ^
  --output_dir="@OUT@" --output_name="aru_blocks" ^
  --resolution=512 --enable_bucket --network_module=networks.lora ^
  --network_dim=8 --network_alpha=2 ^
  --network_args "block_dims=0,0,0,0,8,8,8,8,0,0,0,0,0,0,0,0,8,8,8,8,0,0,0,0,0" ^
  --network_train_unet_only --max_train_steps=5000 --learning_rate=1e-4 ^
  --optimizer_type=Lion --caption_extension=.txt --cache_latents --seed=42
pause
