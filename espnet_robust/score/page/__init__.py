"""The report as one HTML file that works without a server: table, curves, every utterance.

``write`` puts the file together. ``figures`` provides its table and curves, ``utterances`` its list
of utterances, ``runs`` the configuration of each training, and ``spectrogram`` the pictures that a
page opened from disk cannot draw itself. Layout and behaviour are plain HTML, CSS and JavaScript in
``assets``.
"""
