"""The command line: `main` knows the commands; each has a module, and what is heavy is imported inside it."""
