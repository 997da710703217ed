"""Killed, failed and full disks: nothing half-made looks complete, and what is made is kept."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from espnet_robust.common import files, processes
from espnet_robust.common.errors import DataDirError, UserError
from espnet_robust.distortion.copies import distort_data_dir


@pytest.mark.parametrize("nj", [1, 2])
def test_killed_and_resumed(digest, src, config, reference, tmp_path, nj):
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
    time.sleep(3 * processes.ORPHAN_S)  # no worker of the killed run lives on and writes
    assert sorted(f.name for f in tmp_path.iterdir()) == ["c.yaml", "copy"]


def full_after(monkeypatch, number):
    """Let the disk be full after so many files."""
    calls = []

    def write(path, data, **options):
        calls.append(path)
        if len(calls) > number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        files.write_atomic(path, data, **options)

    for module in ("formats", "provenance", "shards"):
        monkeypatch.setattr(f"espnet_robust.distortion.copies.{module}.write_atomic", write)


@pytest.mark.parametrize("number", [0, 30, 100])
def test_disk_full_leaves_nothing_that_looks_complete(
    digest, src, config, reference, tmp_path, monkeypatch, number
):
    with monkeypatch.context() as patch:
        full_after(patch, number)
        with pytest.raises(DataDirError, match="No space left on device") as e:
            distort_data_dir(src, tmp_path / "copy", config, seed=1)
    assert not (tmp_path / "copy").exists()
    assert ("run the same command to resume" in str(e.value)) == (number == 100)
    assert len(list(tmp_path.iterdir())) == (number == 100)
    distort_data_dir(src, tmp_path / "copy", config, seed=1)
    assert digest(tmp_path / "copy") == digest(reference)


@pytest.mark.parametrize("nj", [1, 2])
def test_failure_while_it_runs_is_named_and_kept(broken, config, tmp_path, nj):
    path = broken("false |")
    with pytest.raises(DataDirError, match="only files are read"):
        distort_data_dir(path, tmp_path / "copy", config, seed=1, nj=nj)
    with pytest.raises(UserError, match="utterance s4-140: .*failed with status 1") as e:
        distort_data_dir(path, tmp_path / "copy", config, seed=1, nj=nj, allow_pipe=True)
    assert ".copy.partial" in str(e.value)
    assert not (tmp_path / "copy").exists()


def test_old_copy_stays_until_the_new_one_is_complete(digest, src, config, tmp_path, monkeypatch):
    distort_data_dir(src, tmp_path / "copy", {"chain": ["clip"]}, seed=1)
    before = digest(tmp_path / "copy")
    full_after(monkeypatch, 100)
    with pytest.raises(DataDirError):
        distort_data_dir(src, tmp_path / "copy", {"chain": ["gain"]}, seed=1)
    assert digest(tmp_path / "copy") == before


def test_two_at_once_are_refused(src, config, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "ORPHAN_S", 0.01)
    lock = open(tmp_path / ".copy.lock", "w")  # noqa: SIM115
    fcntl.flock(lock, fcntl.LOCK_EX)
    (tmp_path / ".copy.partial").mkdir()
    with lock, pytest.raises(DataDirError, match="another process is making it"):
        distort_data_dir(src, tmp_path / "copy", config, seed=1)
    assert (tmp_path / ".copy.partial").exists()  # it is the other one's


def cut_lines(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def cut_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


PART, AUDIO = "parts/000000.jsonl", "audio/000000/s0-007.flac"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (PART, lambda path: path.write_text("")),
        (PART, cut_lines),
        (PART, cut_half),
        (PART, lambda path: path.write_bytes(bytes(path.stat().st_size))),
        (PART, lambda path: path.write_text('{"utterances": 0, "files": [], "turned_down": 0}\n')),
        (AUDIO, lambda path: path.unlink()),
        (AUDIO, lambda path: path.write_bytes(b"")),
        (AUDIO, cut_half),
        ("distortion.json", cut_half),
    ],
)
def test_damaged_shard_is_made_again(
    digest, src, config, reference, tmp_path, monkeypatch, name, damage
):
    with monkeypatch.context() as patch:
        full_after(patch, 100)
        with pytest.raises(DataDirError, match="run the same command to resume"):
            distort_data_dir(src, tmp_path / "copy", config, seed=1)
    damage(tmp_path / ".copy.partial" / name)
    distort_data_dir(src, tmp_path / "copy", config, seed=1)
    assert digest(tmp_path / "copy") == digest(reference)
    for table in ("text", "utt2num_samples", "utt2distortion"):
        assert (tmp_path / "copy" / table).read_bytes() == (reference / table).read_bytes()


def test_workers_of_a_killed_run_keep_the_lock(src, config, tmp_path):
    """Stopped, a worker cannot notice that its parent is gone, and could go on writing later."""
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    cmd = [sys.executable, "-m", "espnet_robust.bin.distort_data_dir", "--config", "c.yaml"]
    cmd += ["--seed", "1", "--nj", "2", str(src), str(tmp_path / "copy")]
    env = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    process = subprocess.Popen(cmd, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    while not (workers := open(children).read().split()):  # noqa: SIM115
        assert process.poll() is None
        time.sleep(0.002)
    worker = int(workers[0])
    try:
        os.kill(worker, signal.SIGSTOP)
        process.kill()
        process.wait()
        again = subprocess.run(cmd, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert again.returncode == 1 and "another process is making it" in again.stderr
    finally:
        os.kill(worker, signal.SIGCONT)
    subprocess.run(cmd, cwd=tmp_path, env=env, check=True, stderr=subprocess.DEVNULL)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["c.yaml", "copy"]


@pytest.mark.recipe
@pytest.mark.parametrize("format", ["flac", "ark"])
def test_power_failure(digest, src, config, reference, disk, failing_at, monkeypatch, format):
    with monkeypatch.context():
        failing_at(disk, 15 if format == "flac" else 1)
        distort_data_dir(src, disk.path / "copy", config, seed=1, format=format)
        disk.fail()
        monkeypatch.undo()
    assert len(disk.failures) >= 8
    for failure in disk.failures:
        dst = disk.after(failure) / "copy"
        distort_data_dir(src, dst, config, seed=1, format=format)
        assert digest(dst) == digest(reference)
