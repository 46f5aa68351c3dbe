"""Settings of other programs, read and written: sd-scripts, kohya_ss, pasted commands, the record in a LoRA file."""
