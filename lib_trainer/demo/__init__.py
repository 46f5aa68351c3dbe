"""The demo checkpoint's little world: pictures drawn from tags, and a detector that reads the tags back."""
