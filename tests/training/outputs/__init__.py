"""Tests of training/outputs."""
