"""Export students and recognisers to files that run without ESPnet and torch."""
