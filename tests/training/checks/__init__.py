"""Tests of training/checks."""
