"""Trained models as other people load them: packed, described by a card, on the hub."""
