"""A source of three shards, its copy, and what tells copies apart."""

import hashlib
from pathlib import Path

import pytest

from espnet_robust.data.audio import read_audio, to_int16
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.distortion.copies import distort_data_dir


@pytest.fixture(scope="session")
def config(steps):
    """Every in-process kind, two at a time."""
    kinds = [name for name in steps if not name.startswith("sox")]
    options = [steps[name] for name in kinds if name not in ("speed", "codec")]
    return {"chain": [{"one_of": options}, {"one_of": options}]}


@pytest.fixture(scope="session")
def src(material, tmp_path_factory):
    """150 utterances (three shards), each a file of ``material`` under another id."""
    voices = read_data_dir(material / "voices")
    entries = list(voices.wav.values())
    ids = [f"s{i // 30}-{i:03d}" for i in range(150)]
    path = tmp_path_factory.mktemp("src") / "test"
    tables = {
        "wav.scp": {utt: entries[i % 3] for i, utt in enumerate(ids)},
        "text": {utt: "" if i == 5 else f"WORD {i}" for i, utt in enumerate(ids)},
        "utt2spk": {utt: utt[:2] for utt in ids},
        "utt2intent": dict.fromkeys(ids, "turn|on|lamp"),
    }
    write_data_dir(path, tables)
    (path / "spk2gender").write_text("s0 f\n")
    (path / "feats.scp").write_text("of the undistorted audio\n")
    return path


def _digest(data_dir: Path) -> str:
    """SHA-256 over ids and samples."""
    sha = hashlib.sha256()
    for utt, entry in read_data_dir(data_dir).wav.items():
        sha.update(utt.encode())
        sha.update(to_int16(read_audio(entry, allow_pipe=True)).tobytes())
    return sha.hexdigest()


@pytest.fixture(scope="session")
def digest():
    return _digest


@pytest.fixture(scope="session")
def reference(src, config, tmp_path_factory):
    dst = tmp_path_factory.mktemp("reference") / "copy"
    distort_data_dir(src, dst, config, seed=1)
    return dst


@pytest.fixture
def broken(src, tmp_path):
    """broken("x.wav") -> a source in whose third shard this is the audio of an utterance."""

    def break_it(entry: str) -> Path:
        tables = {name: dict(table) for name, table in read_data_dir(src).tables.items()}
        tables["wav.scp"]["s4-140"] = entry
        return write_data_dir(tmp_path / "broken", tables).path

    return break_it
