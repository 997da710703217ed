"""Publish trained models: pack them, write model cards, upload to the hub."""
