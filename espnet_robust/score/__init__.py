"""Scoring and reporting: error counts, ``scores.json`` files, tables and plots.

``counts`` aligns hypotheses with references, ``decoded`` scores a decoder's output, ``schema`` is
the format that every recipe and task writes, ``metrics`` turns error rates into WER, CER or
accuracy, ``significance`` computes confidence intervals, and ``report`` reads nothing but
``scores.json`` and the ``counts.tsv`` beside it.
"""
