"""Admin calls that fail, family by family."""
