"""What AUTOMATIC1111, Forge and reForge have in common: their `modules` package, queue lock, scripts and pictures."""
