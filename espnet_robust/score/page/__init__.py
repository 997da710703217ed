"""The report as one HTML file that works from disk: table, curves, every utterance.

``write`` puts the file together, ``figures`` fills its table and curves, ``utterances`` its list of
utterances, ``runs`` what each system was trained with, and ``spectrogram`` the pictures that a page
opened from disk cannot draw itself. What the page looks like and does is plain HTML, CSS and
JavaScript in ``assets``.
"""
