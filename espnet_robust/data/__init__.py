"""Data dirs, the audio they list, and the condition of a test set."""
