"""Training: settings as data (config), one step (step), the loop (trainer), validation, what survives an interruption (state), reports."""
