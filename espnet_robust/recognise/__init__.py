"""From trained ESPnet models to texts and labels for every test condition."""
