"""Settings of other programs, read and written."""
