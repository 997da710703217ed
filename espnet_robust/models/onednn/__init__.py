"""Linear layers that are faster on a CPU than torch's, with the same results."""
