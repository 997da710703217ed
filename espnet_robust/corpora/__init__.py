"""One module per corpus: its published layout -> Kaldi data dirs, keeping official splits.

Each module has a docstring whose first line is its summary, ``add_arguments(parser)`` and
``prepare(out, **options) -> list of data dirs``, where the options are the parser's.
"""

# Module names, as given to prepare_corpus.
CORPORA = (
    "an4",
    "audio_folder",
    "chime4",
    "dns_noise",
    "dns_rir",
    "emodb",
    "esc50",
    "fluent_speech_commands",
    "fsd50k",
    "fsdd",
    "iemocap",
    "librispeech",
    "mini",
    "mini_keywords",
    "mini_noise",
    "mini_rooms",
    "musan",
    "nemo",
    "rir_folder",
    "rirs_noises",
    "speech_commands",
    "wham_noise",
)
