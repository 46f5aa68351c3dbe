"""Forge: its model in memory as a `HostModel`, and its LoRAs in generation."""
