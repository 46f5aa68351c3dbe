"""What is learned: noise, the noise schedule, the error and its weights; pure functions of what was drawn."""
