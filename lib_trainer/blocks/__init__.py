"""Per-block weights of LoRAs. Standard library only: importable in milliseconds, without torch."""
