"""A command as it is shown to others, in a model card or in RESULTS.md."""

import os
import re
import shlex
from pathlib import Path

# Options that choose which part of a recipe runs and where it writes, not what it makes.
_WHICH_PART = (
    "stage", "stop_stage", "skip_data_prep", "skip_train", "skip_eval", "skip_packing",
    "skip_upload_hf", "redo", "upload_hf", "results", "nj", "expdir", "dumpdir", "licence",
)  # fmt: skip
# An absolute path among other words: in quotes, or from where a value may begin to where it ends.
_PATH = re.compile(r"""(?<=['"])/[^'"]+(?=['"])|(?<![^\s=\[(,'"])/[^\s\]),'"]+""")


def shown_command(command: str, directory: Path) -> str:
    """``command`` without the paths of this machine and without irrelevant options.

    Args:
        directory: where it is run. The program's path is shown relative to it; DIR stands for
            every other absolute path, also of ``NAME=PATH`` and within a quoted string of options.
            Words whose quotes do not close are taken as they are, each up to the next blank.

    >>> shown_command("/c/egs/run.sh --stage 11 --systems 'a b' --musan /d/musan", Path("/c/egs"))
    "./run.sh --systems 'a b' --musan DIR"
    >>> shown_command("/c/egs/x/../run.sh --stop_stage=12 --seeds 0 --rir=/r", Path("/c/egs/x"))
    '../run.sh --seeds 0 --rir=DIR'
    >>> shown_command("./run.sh --skip_eval true --redo --seeds 0 --skip-packing", Path("/c"))
    './run.sh --seeds 0'
    """
    try:
        words = shlex.split(command)
    except ValueError:  # "it's mine": it is only shown, so not worth an error after hours
        words = command.split()
    kept: list[str] = []
    skip = False
    for place, word in enumerate(words):
        name, equals, _ = word.removeprefix("--").partition("=")
        is_option = word.startswith("--")
        named = is_option and name.replace("-", "_") in _WHICH_PART
        if not (named or (skip and not is_option)):
            kept.append(_program(word, directory) if place == 0 else _without_paths(word))
        skip = named and not equals
    return shlex.join(kept)


def _without_paths(word: str) -> str:
    name, equals, value = word.partition("=")
    if os.path.isabs(word):  # whole, as there may be blanks in it
        return "DIR"
    if equals and os.path.isabs(value) and not re.search(r"\s", name):
        return f"{name}=DIR"
    return _PATH.sub("DIR", word)


def _program(word: str, directory: Path) -> str:
    if not os.path.isabs(word):
        return word
    relative = os.path.relpath(os.path.normpath(word), directory.resolve())
    return relative if "/" in relative else f"./{relative}"
