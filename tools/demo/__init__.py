"""Trains the demo checkpoint from scratch on pictures it draws itself; see README.md beside this file."""
