"""sd-scripts' options, a file per subject: each is ours, means nothing here, or is not supported."""
