"""Copy the checkout, so that what recipes make stays out of the original."""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NAMES = shutil.ignore_patterns(".*", "__pycache__", "build", "exp", "dump", "downloads", "test")


def copy_checkout(directory: Path) -> Path:
    """Copy the checkout to ``directory``, without anything that set-up, tests or recipes made."""
    return Path(shutil.copytree(ROOT, directory, ignore=_left_out, symlinks=True))


def with_own_python() -> dict[str, str]:
    """This process's environment, in which a copy's recipes take this process's python."""
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    }


def _left_out(directory: str, names: list[str]) -> set[str]:
    """data/ of a recipe is left out; the package has a folder of that name, which is not."""
    made = {"data"} & set(names) if Path(directory).parents[1].name == "egs" else set()
    return _NAMES(directory, names) | made
