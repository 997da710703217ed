"""Students and recognisers as files that run without ESPnet and without torch."""
