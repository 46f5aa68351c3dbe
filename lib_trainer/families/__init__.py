"""The model families: one record each for everything in which they differ."""
