# D-Adaptation finds the rate: 1 for the first part, 0.5 was tried on Pony
$model = "@MODEL@"
accelerate launch --num_cpu_threads_per_process 1 train_network.py `
  --pretrained_model_name_or_path=$model `
  --train_data_dir="@DATA@/aru" `
  --output_dir="@OUT@" --output_name="aru_dadapt" `
  --resolution="512,512" --enable_bucket `
  --network_module=networks.lora --network_dim=16 --network_alpha=4 `
  --optimizer_type="DAdaptLion" --optimizer_args "betas=0.9,0.999" "weight_decay=0" "d0=1e-06" `
  --learning_rate=1 --max_train_steps=3000 --lr_scheduler=constant `
  --caption_extension=".txt" --cache_latents --loss_type=huber --huber_schedule=snr --seed=42
