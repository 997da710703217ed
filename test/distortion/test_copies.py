import errno
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_robust.bin import distort_data_dir as command
from espnet_robust.bin import make_protocol as protocol_command
from espnet_robust.bin import remake_utterance, validate_data_dir
from espnet_robust.data.audio import read_audio, to_int16
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.data.data_dir import validate_data_dir as validate
from espnet_robust.distortion import copies, load_distortion
from espnet_robust.distortion.copies import distort_data_dir, remake
from espnet_robust.errors import ConfigError, DataDirError, UserError


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


def digest(data_dir: Path) -> str:
    """SHA-256 over ids and samples."""
    sha = hashlib.sha256()
    for utt, entry in read_data_dir(data_dir).wav.items():
        sha.update(utt.encode())
        sha.update(to_int16(read_audio(entry, allow_pipe=True)).tobytes())
    return sha.hexdigest()


@pytest.fixture(scope="session")
def reference(src, config, tmp_path_factory):
    dst = tmp_path_factory.mktemp("reference") / "copy"
    distort_data_dir(src, dst, config, seed=1)
    return dst


def test_copy_is_complete(src, reference):
    copy = validate(reference, need=("wav.scp", "text", "utt2spk", "utt2intent"), audio=True)
    source = read_data_dir(src)
    assert copy.ids == source.ids
    for name in ("text", "utt2spk", "utt2intent", "spk2gender", "spk2utt"):
        assert (reference / name).read_bytes() == (src / name).read_bytes()
    assert not (reference / "feats.scp").exists()
    for utt, entry in copy.wav.items():
        num_samples = len(read_audio(entry))
        assert copy.tables["utt2num_samples"][utt] == str(num_samples)
        assert float(copy.tables["utt2dur"][utt]) == pytest.approx(num_samples / 16000, abs=1e-4)
        assert json.loads(copy.tables["utt2distortion"][utt])["seed"] == 1
    assert [f.name for f in reference.parent.iterdir()] == ["copy"]


@pytest.mark.parametrize("nj", [2, 4])
def test_same_bytes_whatever_the_number_of_processes(src, config, reference, tmp_path, nj):
    distort_data_dir(src, tmp_path / "copy", config, seed=1, nj=nj)
    assert digest(tmp_path / "copy") == digest(reference)
    records = [(path / "utt2distortion").read_bytes() for path in (tmp_path / "copy", reference)]
    assert records[0] == records[1]


def test_another_seed_is_another_copy(src, config, reference, tmp_path):
    distort_data_dir(src, tmp_path / "copy", config, seed=2)
    assert digest(tmp_path / "copy") != digest(reference)


def test_order_and_company_do_not_matter(src, config, reference, tmp_path):
    some = {n: dict(list(t.items())[70:75]) for n, t in read_data_dir(src).tables.items()}
    write_data_dir(tmp_path / "src", some)
    distort_data_dir(tmp_path / "src", tmp_path / "copy", config, seed=1)
    whole, part = read_data_dir(reference), read_data_dir(tmp_path / "copy")
    for utt, entry in part.wav.items():
        np.testing.assert_array_equal(read_audio(entry), read_audio(whole.wav[utt]))


def test_on_the_fly_equals_on_disk(src, config, reference):
    distorter = load_distortion(config)
    source, copy = read_data_dir(src), read_data_dir(reference)
    shas = [hashlib.sha256(), hashlib.sha256()]
    for utt, entry in source.wav.items():
        fly, record = distorter(read_audio(entry), utt, seed=1)
        assert record["steps"] == json.loads(copy.tables["utt2distortion"][utt])["steps"]
        shas[0].update(to_int16(fly).tobytes())
        shas[1].update(to_int16(read_audio(copy.wav[utt])).tobytes())
    assert shas[0].hexdigest() == shas[1].hexdigest()


def test_remade_from_its_record(reference, tmp_path):
    copy = read_data_dir(reference)
    for utt in copy.ids[::31]:
        np.testing.assert_array_equal(
            to_int16(remake(reference, utt)) / np.float32(32768), read_audio(copy.wav[utt])
        )
    utt = copy.ids[3]
    remake_utterance.main([str(reference), utt, str(tmp_path / "a.flac")])
    assert (tmp_path / "a.flac").read_bytes() == Path(copy.wav[utt]).read_bytes()
    with pytest.raises(DataDirError, match="no utterance 'nobody'"):
        remake(reference, "nobody")


@pytest.mark.parametrize("format", ["wav", "ark", "flac.ark"])
def test_formats_hold_the_same_audio(src, config, reference, tmp_path, format):
    distort_data_dir(src, tmp_path / "copy", config, seed=1, format=format, nj=2)
    assert digest(tmp_path / "copy") == digest(reference)
    if "ark" in format:
        table = kaldiio.load_scp(str(tmp_path / "copy" / "wav.scp"))
        rate, samples = table["s1-040"]
        assert rate == 16000
        mine = read_audio(read_data_dir(tmp_path / "copy").wav["s1-040"])
        scale = 32768 if np.issubdtype(samples.dtype, np.integer) else 1
        np.testing.assert_array_equal(samples / scale, mine)


def test_pipes_make_the_audio(src, config, reference, tmp_path):
    few = {n: dict(list(t.items())[:2]) for n, t in read_data_dir(src).tables.items()}
    write_data_dir(tmp_path / "src", few)
    distort_data_dir(tmp_path / "src", tmp_path / "copy", config, seed=1, format="pipe")
    copy, whole = read_data_dir(tmp_path / "copy"), read_data_dir(reference)
    assert not (tmp_path / "copy" / "audio").exists()
    for utt, entry in copy.wav.items():
        wav = read_audio(entry, allow_pipe=True)
        np.testing.assert_array_equal(wav, read_audio(whole.wav[utt]))
        assert copy.tables["utt2num_samples"][utt] == str(len(wav))


def test_mapped_speed_changes_the_durations(src, tmp_path):
    config = {"chain": [{"name": "speed", "factor": 1.25, "length": "map"}]}
    distort_data_dir(src, tmp_path / "copy", config, seed=0)
    before = read_data_dir(src).wav
    after = read_data_dir(tmp_path / "copy").tables["utt2num_samples"]
    for utt in list(before)[:3]:
        assert int(after[utt]) == round(len(read_audio(before[utt])) / 1.25)
    validate(tmp_path / "copy", audio=True)


def test_other_rates_are_resampled_or_refused(src, tmp_path):
    t = np.arange(8000) / 8000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 8000)
    path = write_data_dir(tmp_path / "src", {"wav.scp": {"a": str(tmp_path / "a.wav")}}).path
    config = {"chain": [{"name": "gain", "gain_db": -6}]}
    distort_data_dir(path, tmp_path / "copy", config, seed=0)
    wav = read_audio(read_data_dir(tmp_path / "copy").wav["a"], on_rate="refuse")
    assert len(wav) == 16000 and np.argmax(np.abs(np.fft.rfft(wav))) == 440
    with pytest.raises(UserError, match="utterance a: .*8000 Hz, need 16000 Hz"):
        distort_data_dir(path, tmp_path / "other", config | {"on_rate": "refuse"}, seed=0)


def test_results_above_full_scale_are_refused_if_asked(src, tmp_path, capsys):
    config = {"chain": [{"name": "gain", "gain_db": 20}]}
    distort_data_dir(src, tmp_path / "copy", config, seed=0)
    assert "150 of 150 utterances exceeded full scale" in capsys.readouterr().err
    with pytest.raises(UserError, match="utterance s0-000: .*exceeds full scale"):
        distort_data_dir(src, tmp_path / "other", config | {"overflow": "refuse"}, seed=0)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("nj", [1, 2])
def test_killed_and_resumed(src, config, reference, tmp_path, nj):
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    dst = tmp_path / "copy"
    cmd = [sys.executable, "-m", "espnet_robust.bin.distort_data_dir", "--config", "c.yaml"]
    cmd += ["--seed", "1", "--nj", str(nj), str(src), str(dst)]
    env = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    process = subprocess.Popen(cmd, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    parts = tmp_path / ".copy.partial" / "parts"
    while not (finished := list(parts.glob("*.jsonl"))):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not dst.exists()
    written = finished[0].stat().st_mtime_ns
    kept = os.open(finished[0], os.O_RDONLY)  # its mtime can still be read when it is gone
    try:
        subprocess.run(cmd, cwd=tmp_path, env=env, check=True, stderr=subprocess.DEVNULL)
        assert os.fstat(kept).st_mtime_ns == written and os.fstat(kept).st_nlink == 0
    finally:
        os.close(kept)
    assert digest(dst) == digest(reference)
    time.sleep(3 * copies._ORPHAN_S)  # no worker of the killed run lives on and writes
    assert sorted(f.name for f in tmp_path.iterdir()) == ["c.yaml", "copy"]


def test_made_again_only_if_something_changed(src, config, tmp_path, monkeypatch):
    made = []
    real = copies._make_shards
    monkeypatch.setattr(copies, "_make_shards", lambda job, *a: made.append(1) or real(job, *a))
    for seed, times in ((1, 1), (1, 1), (2, 2), (1, 3)):
        distort_data_dir(src, tmp_path / "copy", {"chain": ["clip"]}, seed=seed)
        assert len(made) == times
    distort_data_dir(src, tmp_path / "copy", {"chain": ["gain"]}, seed=1)
    assert len(made) == 4


def full_after(monkeypatch, number):
    real, calls = copies.write_atomic, []

    def write(path, data):
        calls.append(path)
        if len(calls) > number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, data)

    monkeypatch.setattr(copies, "write_atomic", write)


@pytest.mark.parametrize("number", [0, 30, 100])
def test_disk_full_leaves_nothing_that_looks_complete(
    src, config, reference, tmp_path, monkeypatch, number
):
    with monkeypatch.context() as patch:
        full_after(patch, number)
        with pytest.raises(DataDirError, match="No space left on device") as e:
            distort_data_dir(src, tmp_path / "copy", config, seed=1)
    assert not (tmp_path / "copy").exists()
    assert ("the same command goes on" in str(e.value)) == (number == 100)
    assert len(list(tmp_path.iterdir())) == (number == 100)
    distort_data_dir(src, tmp_path / "copy", config, seed=1)
    assert digest(tmp_path / "copy") == digest(reference)


def broken(tmp_path, src, line):
    tables = {name: dict(table) for name, table in read_data_dir(src).tables.items()}
    tables["wav.scp"]["s4-140"] = line
    return write_data_dir(tmp_path / "broken", tables).path


@pytest.mark.parametrize("nj", [1, 2])
def test_bad_audio_is_named_before_anything_is_made(src, config, tmp_path, nj):
    (tmp_path / "bad.wav").write_text("no audio")
    path = broken(tmp_path, src, str(tmp_path / "bad.wav"))
    with pytest.raises(DataDirError, match=r"utterance s4-140: .*bad.wav: not audio"):
        distort_data_dir(path, tmp_path / "copy", config, seed=1, nj=nj)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["bad.wav", "broken"]


@pytest.mark.parametrize("nj", [1, 2])
def test_failure_while_it_runs_is_named_and_kept(src, config, tmp_path, nj):
    path = broken(tmp_path, src, "false |")
    with pytest.raises(DataDirError, match="only files are read"):
        distort_data_dir(path, tmp_path / "copy", config, seed=1, nj=nj)
    with pytest.raises(UserError, match="utterance s4-140: .*failed with status 1") as e:
        distort_data_dir(path, tmp_path / "copy", config, seed=1, nj=nj, allow_pipe=True)
    assert ".copy.partial" in str(e.value)
    assert not (tmp_path / "copy").exists()


def test_transcript_without_audio(src, config, tmp_path):
    path = broken(tmp_path, src, "x")
    with open(path / "text", "a") as f:
        f.write("z-999 NO AUDIO\n")
    with pytest.raises(DataDirError, match=r"text:151: does not match wav.scp: 'z-999' has no"):
        distort_data_dir(path, tmp_path / "copy", config, seed=1)


def test_old_copy_stays_until_the_new_one_is_complete(src, config, tmp_path, monkeypatch):
    distort_data_dir(src, tmp_path / "copy", {"chain": ["clip"]}, seed=1)
    before = digest(tmp_path / "copy")
    full_after(monkeypatch, 100)
    with pytest.raises(DataDirError):
        distort_data_dir(src, tmp_path / "copy", {"chain": ["gain"]}, seed=1)
    assert digest(tmp_path / "copy") == before


def test_two_at_once_are_refused(src, config, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "_ORPHAN_S", 0.01)
    lock = open(tmp_path / ".copy.lock", "w")  # noqa: SIM115
    fcntl.flock(lock, fcntl.LOCK_EX)
    (tmp_path / ".copy.partial").mkdir()
    with lock, pytest.raises(DataDirError, match="another process is making it"):
        distort_data_dir(src, tmp_path / "copy", config, seed=1)
    assert (tmp_path / ".copy.partial").exists()  # it is the other one's


def test_will_not_replace_what_is_no_data_dir(src, config, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis").write_text("x")
    with pytest.raises(DataDirError, match="not a data dir"):
        distort_data_dir(src, tmp_path / "home", config, seed=1)
    with pytest.raises(ConfigError, match="seed -1"):
        distort_data_dir(src, tmp_path / "copy", config, seed=-1)


def test_commands(src, config, material, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    command.main(
        ["--config", str(tmp_path / "c.yaml"), "--seed", "1", str(src), str(tmp_path / "copy")]
    )
    validate_data_dir.main([str(tmp_path / "copy"), "--audio"])
    assert "copy: 150 utterances" in capsys.readouterr().out
    protocol = {
        "conditions": {
            "noise": {
                "each_snr_db": [20, 0],
                "chain": [{"name": "noise", "noise": str(material / "noise")}],
            },
            "clip": {"chain": ["clip"]},
        }
    }
    (tmp_path / "p.yaml").write_text(json.dumps(protocol))
    for _ in range(2):
        protocol_command.main(
            ["--config", str(tmp_path / "p.yaml"), "--seed", "1", str(src), str(tmp_path / "test")]
        )
    about = {
        d.name: json.loads((d / "condition.json").read_text()) for d in tmp_path.glob("test_*")
    }
    assert about == {
        "test_noise_snr20": {"name": "noise_snr20", "snr_db": 20},
        "test_noise_snr0": {"name": "noise_snr0", "snr_db": 0},
        "test_clip": {"name": "clip", "snr_db": None},
    }
    # The same noise, louder.
    crops = [
        [
            json.loads(r)["steps"][0]["crops"]
            for r in read_data_dir(d).tables["utt2distortion"].values()
        ]
        for d in (tmp_path / "test_noise_snr20", tmp_path / "test_noise_snr0")
    ]
    assert crops[0] == crops[1]
