"""What ESPnet needs to know of us: the frontend, an encoder, an optimiser, their registration."""
