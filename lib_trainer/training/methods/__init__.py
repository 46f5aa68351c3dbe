"""The methods of training: what is learned from what, and in how many runs."""
