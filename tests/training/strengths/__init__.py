"""Tests of the pictures of a finished slider."""
