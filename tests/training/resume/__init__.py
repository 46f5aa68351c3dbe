"""Tests of training/resume."""
