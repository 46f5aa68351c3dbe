"""What the losses of a run tell, and what it is measured on."""
