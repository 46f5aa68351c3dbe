"""Tests of training/learning."""
