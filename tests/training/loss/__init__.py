"""Tests of training/loss."""
