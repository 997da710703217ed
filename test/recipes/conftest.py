"""Recipes run in a throw-away copy of the checkout, through the commands a user types."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "data", "exp", "__pycache__", ".*_cache")


@pytest.fixture(scope="session")
def checkout(root, tmp_path_factory) -> Path:
    """A copy of the checkout without what recipes have made there."""
    copy = tmp_path_factory.mktemp("checkout") / "espnet_robust"
    shutil.copytree(root, copy, ignore=NOT_COPIED, symlinks=True)
    return copy


@pytest.fixture(scope="session")
def run():
    """run(recipe, *options) -> the completed ``./run.sh``, this interpreter first on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def run(recipe: Path, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["./run.sh", *options],
            cwd=recipe,
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
