"""A copy of the checkout, in which recipes leave what they make."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NAMES = shutil.ignore_patterns(".*", "__pycache__", "build", "exp", "dump", "downloads", "test")


def copy_checkout(directory: Path) -> Path:
    """Copy the checkout to ``directory``, without what set-up, tests and recipes made in it."""
    return Path(shutil.copytree(ROOT, directory, ignore=_left_out, symlinks=True))


def _left_out(directory: str, names: list[str]) -> set[str]:
    """data/ is what a recipe makes, but a folder of the package, too."""
    made = {"data"} & set(names) if Path(directory).parents[1].name == "egs" else set()
    return _NAMES(directory, names) | made
