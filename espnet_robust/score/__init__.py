"""Scoring and reporting: error counts, one ``scores.json`` a system and seed, tables and plots.

``counts`` aligns hypotheses with references, ``schema`` is the format every recipe and task
writes, ``significance`` says how far differences can be trusted, ``report`` reads nothing but
``scores.json`` and the ``counts.tsv`` beside it.
"""
