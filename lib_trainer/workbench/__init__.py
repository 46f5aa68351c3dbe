"""Algebra on LoRA files: merge, difference, resize, extract, convert, and what their metadata say."""
