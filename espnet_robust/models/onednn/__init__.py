"""Layers that are faster on a CPU than those they take the place of; values are the same."""
