"""What learns and how fast: parameter groups, optimisers, rates over the run, averages."""
