"""Recipes run in a throw-away copy of the checkout, through the commands a user types."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_robust.common.saving import BACKUP
from espnet_robust.data.audio import RATE

# A few conditions instead of fifteen.
PROTOCOL = """\
conditions:
  noise_in: {snr_db: 10, chain: [{name: noise, noise: data/noise_test}]}
  clip: {chain: [{name: clip, overdrive_db: 15}]}
"""

FEW = ("--protocol", "../../../conf/distortion/few.yaml")  # where PROTOCOL is written

# Chapters of each set.
LIBRISPEECH = {"train-mini": 3, "dev-mini": 1, "test-mini": 1, "test-other-mini": 1}


# The teacher and settings of the mini recipes, for recipes that take theirs from the hub.
MINI_TEACHER = (
    "--distill_config", "../../mini/asr1/conf/distill.yaml", "--ngpu", "0",
)  # fmt: skip
ROOMS = (
    "surrey_room_A", "Arthur_Sykes_Rymer_Auditorium", "rir_clap", "Genesis_6_Studio_Live_Room",
    "Jack_Lyons_Hall_University_of_York", "St._Margarets_Church", "large_church", "large_hall",
    "medium_chamber", "medium_hall",
)  # fmt: skip


def saved(experiment: Path, epoch: int) -> bool:
    """Whether all files of that epoch are on the disk; a run killed before repeats the epoch."""
    return (experiment / f"{epoch}epoch.pth").exists() and not (experiment / BACKUP).exists()


@pytest.fixture(scope="session")
def mini_teacher() -> tuple[str, ...]:
    return MINI_TEACHER


@pytest.fixture(scope="session")
def checkout(copy_checkout, tmp_path_factory) -> Path:
    """A copy of the checkout without what recipes have made there."""
    copy = copy_checkout(tmp_path_factory.mktemp("checkout") / "espnet_robust")
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
def noises(tmp_path_factory) -> tuple[str, ...]:
    """Options for a little white noise and decaying rooms, in the layout of ``esc10``."""
    root = tmp_path_factory.mktemp("noises")
    sounds = [f"noise/esc10/fold{n}/rain/{n}.wav" for n in range(1, 6)]
    for n, name in enumerate([*sounds, "noise/outdoor_indoor/wind.wav"]):
        write_wav(root / name, np.random.default_rng(n).uniform(-0.5, 0.5, 2 * RATE))
    decay = np.exp(-np.arange(RATE // 4) / 500)
    for n, room in enumerate(ROOMS):
        response = 0.3 * decay * np.random.default_rng(n).standard_normal(len(decay))
        response[0] = 1
        write_wav(root / "rir" / room / "a.wav", response / 4)
    return "--noise_source", "esc10", "--noise", f"{root}/noise", "--rir", f"{root}/rir"


@pytest.fixture(scope="session")
def write_tree():
    """write_tree(root, {"a.txt": "text", "b.wav": seconds}) -> root; audio is noise."""

    def write_tree(root: Path, files: dict[str, str | float]) -> Path:
        for n, (name, content) in enumerate(files.items()):
            if isinstance(content, str):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content)
            else:
                rng = np.random.default_rng(n)
                write_wav(root / name, 0.1 * rng.standard_normal(round(content * RATE)))
        return root

    return write_tree


def write_wav(path: Path, wav: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wav, RATE)


@pytest.fixture(scope="session")
def run():
    """run(recipe, *options) -> the completed ``./run.sh``, this interpreter first on the path.

    ``environment={...}`` adds to this one's.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def run(
        recipe: Path, *options: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["./run.sh", *options],
            cwd=recipe,
            env=os.environ | {"PATH": path} | (environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def recipe(checkout, run):
    """The mini recipe after stage 4, with a few utterances and conditions."""
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    few = "--train_utterances 4 --dev_utterances 3 --test_utterances 2"
    made = run(checkout / "egs/mini/asr1", *FEW, "--stop_stage", "4", f"--data_opts={few}")
    assert made.returncode == 0, made.stderr[-3000:]
    return checkout / "egs/mini/asr1"


@pytest.fixture(scope="session")
def tiny(run):
    """tiny(recipe, *options): all stages, with a few steps and conditions."""

    def tiny(recipe: Path, *options: str) -> None:
        done = run(recipe, "--budget", "tiny", *FEW, *options)
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
