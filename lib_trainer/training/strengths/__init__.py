"""Pictures of a finished slider, at several strengths side by side: what is drawn, and drawing it."""
