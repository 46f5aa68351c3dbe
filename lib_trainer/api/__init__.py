"""The HTTP face. The only place that imports FastAPI beside the embedded page."""
