"""Tests of training/statistics."""
