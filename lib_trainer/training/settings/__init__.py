"""The settings of a training run, a file per fold of the form."""
