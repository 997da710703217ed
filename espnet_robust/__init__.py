"""Distortion-robust distillation of self-supervised speech models, as an ESPnet extension."""
