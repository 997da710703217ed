"""Distorted copies by many jobs that are killed: every utterance once, the bytes of one process."""

import os
import random
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from espnet_robust.cluster import copies
from espnet_robust.cluster.config import Cluster
from espnet_robust.cluster.running import Stage
from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import RATE
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.distortion.copies import begun_job, run_job
from espnet_robust.distortion.copies import shards as shards_module
from espnet_robust.distortion.copies import tables as tables_module
from espnet_robust.distortion.protocol import protocol_jobs

UTTERANCES = 1000  # each a shard of its own
KILLS = 8
# The command of a job, with shards of one utterance.
ONE_EACH = (
    "import sys; from espnet_robust.distortion.copies import shards; shards.SHARD = 1; "
    "from espnet_robust.bin.make_shards import main; main(sys.argv[1:])"
)


@pytest.fixture
def src(tmp_path):
    """A thousand utterances of a twentieth of a second, from one file each of ten."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.wav" for n in range(10)]
    for path in paths:
        soundfile.write(path, 0.1 * rng.standard_normal(RATE // 20), RATE)
    ids = [f"u{n:04d}" for n in range(UTTERANCES)]
    wav = {utt: str(paths[n % 10]) for n, utt in enumerate(ids)}
    write_data_dir(tmp_path / "test", {"wav.scp": wav, "utt2spk": {utt: utt for utt in ids}})
    return tmp_path / "test"


@pytest.fixture
def jobs(src, tmp_path):
    """jobs(folder) -> the copy that a protocol of one condition makes there."""
    chain = [{"name": "clip", "overdrive_db": [5, 20]}]
    config = {"conditions": {"clip": {"chain": chain}}}
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump(config))

    def jobs(folder):
        folder.mkdir()
        prefix = str(folder / "test")
        return protocol_jobs(src, prefix, tmp_path / "protocol.yaml", seed=3)

    return jobs


class Killer(threading.Thread):
    """Kills processes of jobs: commands, and what started them.

    It waits for shards, not for seconds, so that a fast machine meets as many kills as a slow one.
    """

    def __init__(self, folder: Path):
        super().__init__(daemon=True)
        self.folder, self.mark = folder, bytes(folder)
        self.kills, self.over = 0, threading.Event()
        self.draw = random.Random(1)
        self.moments = sorted(self.draw.sample(range(UTTERANCES * 3 // 4), KILLS))

    def run(self) -> None:
        while self.kills < KILLS and not self.over.wait(0.02):
            running = [path for path in Path("/proc").glob("[0-9]*") if self.is_ours(path)]
            if running and self.shards() >= self.moments[self.kills]:
                os.kill(int(self.draw.choice(running).name), signal.SIGKILL)
                self.kills += 1

    def shards(self) -> int:
        """How many parts of tables stand there."""
        return sum(1 for _ in self.folder.glob("*/parts/*"))

    def is_ours(self, process: Path) -> bool:
        try:
            return self.mark in (process / "cmdline").read_bytes()
        except OSError:  # it has ended
            return False


def content(copy: Path) -> dict[str, bytes]:
    """{file: bytes} of the tables of a copy, {utterance: bytes} of its audio."""
    tables = ("utt2distortion", "utt2num_samples", "utt2dur", "utt2spk", "spk2utt")
    audio = read_data_dir(copy).wav
    return {name: (copy / name).read_bytes() for name in tables} | {
        utt: Path(path).read_bytes() for utt, path in audio.items()
    }


def test_a_thousand_shards_with_random_kills(src, jobs, tmp_path, monkeypatch):
    (alone,) = jobs(tmp_path / "alone")
    run_job(alone)
    for module in (copies.copies, shards_module, tables_module):
        monkeypatch.setattr(module, "SHARD", 1)
    command = copies._command

    def one_each(*args):
        return [sys.executable, "-c", ONE_EACH, *command(*args)[3:]]

    monkeypatch.setattr(copies, "_command", one_each)
    (many,) = jobs(tmp_path / "many")
    killer = Killer(tmp_path / "many")
    killer.start()
    stage = Stage("copies", Cluster("local", array=4, retries=20), tmp_path / "many/jobs")
    try:
        copies.make_copies([many], stage)
    finally:
        killer.over.set()
    assert killer.kills == KILLS
    assert list(read_data_dir(many.dst).wav) == list(read_data_dir(src).wav)
    assert content(many.dst) == content(alone.dst)


def test_shards_of_a_copy_that_nobody_has_begun(tmp_path):
    with pytest.raises(DataDirError, match=r"\.b\.partial: no copy of .*a has been begun there"):
        begun_job(tmp_path / "a", tmp_path / "b")
