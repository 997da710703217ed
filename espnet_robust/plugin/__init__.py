"""Extensions for ESPnet: the frontend, an encoder, an optimizer, a preprocessor, registration."""
