"""Finding the training pictures: what lies in folders and files, read and checked, and what is added to them."""
