"""Decode and classify every test condition with trained ESPnet models."""
