"""What install.py does: an environment of our own, the build of torch that fits, what a WebUI lacks."""
