"""A command as it is shown to others, in a model card or in RESULTS.md."""

import os
import shlex
from pathlib import Path

# Options that choose which part of a recipe runs and where it writes, not what it makes.
_WHICH_PART = ("stage", "stop_stage", "upload_hf", "results", "nj", "expdir", "dumpdir", "licence")


def shown_command(command: str, directory: Path) -> str:
    """``command`` without the paths of this machine and without irrelevant options.

    Args:
        directory: where it is run. The program's path is shown relative to it; DIR stands for
            every other absolute path.

    >>> shown_command("/c/egs/run.sh --stage 11 --systems 'a b' --musan /d/musan", Path("/c/egs"))
    "./run.sh --systems 'a b' --musan DIR"
    >>> shown_command("/c/egs/x/../run.sh --stop_stage=12 --seeds 0 --rir=/r", Path("/c/egs/x"))
    '../run.sh --seeds 0 --rir=DIR'
    """
    words = shlex.split(command)
    kept: list[str] = []
    skip = False
    for place, word in enumerate(words):
        name, equals, value = word.removeprefix("--").partition("=")
        is_option = word.startswith("--")
        named = is_option and name.replace("-", "_") in _WHICH_PART
        if not (named or (skip and not is_option)):
            if place == 0:
                word = _program(word, directory)
            elif os.path.isabs(word):
                word = "DIR"
            elif is_option and equals and os.path.isabs(value):
                word = f"--{name}=DIR"
            kept.append(word)
        skip = named and not equals
    return shlex.join(kept)


def _program(word: str, directory: Path) -> str:
    if not os.path.isabs(word):
        return word
    relative = os.path.relpath(os.path.normpath(word), directory.resolve())
    return relative if "/" in relative else f"./{relative}"
