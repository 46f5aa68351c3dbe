"""The embedded host: a small diffusers pipeline that behaves like a WebUI for its own page."""
