"""Distil speech models under distortion: teacher, student, losses, adversary, task."""
