"""Training: settings as data (config), the loop (trainer), what survives an interruption (state), what is left to look at (report)."""
