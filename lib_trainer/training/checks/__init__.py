"""Parts of the check before a start: what a look at the disk, the checkpoint and the machine finds."""
