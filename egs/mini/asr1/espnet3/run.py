#!/usr/bin/env python3
"""ESPnet3's stages on the mini corpus, with a student of the recipe as frontend; see README.md."""

from espnet_robust.espnet3.system import start

if __name__ == "__main__":  # what it spawns imports this file anew
    start()
