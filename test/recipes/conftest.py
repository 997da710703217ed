"""Recipes run in a throw-away copy of the checkout, through the commands a user types."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "data", "exp", "__pycache__", ".*_cache")

# A few conditions instead of fifteen.
PROTOCOL = """\
conditions:
  noise_in: {snr_db: 10, chain: [{name: noise, noise: data/noise_test}]}
  clip: {chain: [{name: clip, overdrive_db: 15}]}
"""

# Chapters of each set.
LIBRISPEECH = {"train-mini": 3, "dev-mini": 1, "test-mini": 1, "test-other-mini": 1}


@pytest.fixture(scope="session")
def checkout(root, tmp_path_factory) -> Path:
    """A copy of the checkout without what recipes have made there."""
    copy = tmp_path_factory.mktemp("checkout") / "espnet_robust"
    shutil.copytree(root, copy, ignore=NOT_COPIED, symlinks=True)
    (copy / "conf/distortion/few.yaml").write_text(PROTOCOL)
    return copy


@pytest.fixture(scope="session")
def librispeech(shared_data, tmp_path_factory):
    """The first utterances of a few chapters, in LibriSpeech's layout."""
    root = tmp_path_factory.mktemp("corpora") / "LibriSpeech"
    for name, chapters in LIBRISPEECH.items():
        for chapter in sorted((shared_data / "LibriSpeech" / name).glob("*/*"))[:chapters]:
            copy = root / name / chapter.parent.name / chapter.name
            copy.mkdir(parents=True)
            (transcript,) = chapter.glob("*.trans.txt")
            lines = transcript.read_text().splitlines(keepends=True)[:3]
            (copy / transcript.name).write_text("".join(lines))
            for line in lines:
                shutil.copy(chapter / f"{line.split()[0]}.flac", copy)
    return root


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


@pytest.fixture(scope="session")
def tiny(run):
    """tiny(recipe, *options): all stages, with a few steps and conditions."""

    def tiny(recipe: Path, *options: str) -> None:
        done = run(
            recipe, "--budget", "tiny", "--protocol", "../../../conf/distortion/few.yaml", *options
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]

    return tiny


@pytest.fixture(scope="session")
def rows():
    """rows(report, "wer") -> the lines of its table as dicts; there is a plot beside it."""

    def rows(report: Path, metric: str) -> list[dict[str, str]]:
        assert (report / f"{metric}.png").exists()
        with (report / f"{metric}.csv").open() as f:
            return list(csv.DictReader(f))

    return rows
