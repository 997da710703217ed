"""Pretraining of small teachers."""
