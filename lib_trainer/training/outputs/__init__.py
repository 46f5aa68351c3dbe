"""What a run leaves on the disk: its folder, LoRA files and what is recorded in them."""
