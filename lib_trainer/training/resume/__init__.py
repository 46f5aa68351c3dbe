"""Going on with a run that has ended: what is kept on the disk, how it is found, and what must agree."""
