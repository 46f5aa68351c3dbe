"""Measurements a person can repeat: what a training teaches, and what it costs."""
