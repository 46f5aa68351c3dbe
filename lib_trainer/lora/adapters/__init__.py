"""Layers that can be trained, of every kind of network."""
