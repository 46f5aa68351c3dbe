"""Training: configuration, events, objective, optimisers, schedules, the loop and the recipe that joins them."""
