"""One module a corpus: its published layout -> Kaldi data dirs, official splits kept.

Each module has a docstring whose first line is its summary, ``add_arguments(parser)`` and
``prepare(out, **options) -> list of data dirs``, where the options are the parser's.
"""

# Module names, as typed after prepare_corpus.
CORPORA = (
    "audio_folder",
    "dns_noise",
    "dns_rir",
    "esc50",
    "fsd50k",
    "librispeech",
    "mini",
    "mini_noise",
    "mini_rooms",
    "musan",
    "rir_folder",
    "rirs_noises",
    "wham_noise",
)
