"""Pictures side by side: plots over block weights, and the analysis of which blocks matter. Knows no host."""
