"""Pictures with their masks: where they come from, how they are varied, and how they reach the net."""
