"""Export students, recognisers and classifiers to files that run without ESPnet and torch."""
