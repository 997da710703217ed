"""One module a corpus: its published layout -> Kaldi data dirs, official splits kept.

Each module has a docstring whose first line is its summary, ``add_arguments(parser)`` and
``prepare(out, **options) -> list of data dirs``, where the options are the parser's.
"""

CORPORA = ("mini", "mini_noise", "mini_rooms")  # module names, as typed after prepare_corpus
