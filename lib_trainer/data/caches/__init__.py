"""What is computed once and used in every epoch: latents and text states, in memory and on the disk."""
