"""Several processes started as one, on CPUs: who is who, and how they end."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from espnet_robust.common.launch import torchrun_command

# What a rank does: {"kill 1": rank 1 is killed, ...}; its environment and options in a file.
TOY = """
import os, signal, sys, time
from pathlib import Path
from espnet_robust.common.ending import end_with_recipe  # as every command does
end_with_recipe()
rank, how = os.environ["RANK"], sys.argv[2]
words = [os.environ["WORLD_SIZE"], os.environ.get("CUDA_VISIBLE_DEVICES", "unset"), *sys.argv[2:]]
Path(sys.argv[1], rank).write_text(" ".join([str(os.getpid()), *words]))
while how != "end" and not all(Path(sys.argv[1], r).is_file() for r in "01"[: int(words[0])]):
    time.sleep(0.01)  # for the test to see both
if how == f"status {rank}":
    sys.exit("error: u1: no audio")
if how == f"kill {rank}":
    os.kill(os.getpid(), signal.SIGKILL)
if how != "end":
    time.sleep(100)
"""


@pytest.fixture
def toy(tmp_path, monkeypatch, root):
    """toy(*options, **torchrun_command's) -> its command; each rank writes into tmp_path/RANK."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # of which ESPnet would count one GPU
    return lambda *options, **given: torchrun_command(["toy", str(tmp_path), *options], **given)


def ended(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_each_rank_has_its_number_and_all_options(toy, tmp_path):
    subprocess.run(toy("end", "--x", "--y=1 2", processes=2), check=True)
    said = [(tmp_path / rank).read_text().split(maxsplit=1)[1] for rank in "01"]
    assert said == ["2 unset end --x --y=1 2"] * 2


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("kill 1", "error: rank 1 of 2 on {host} was killed by SIGKILL; out of memory?"),
        ("status 1", "rank 1 of 2 on {host} ended with status 1"),
    ],
)
def test_one_that_fails_ends_all_and_is_named(toy, tmp_path, how, said):
    done = subprocess.run(toy(how, processes=2), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == said.format(host=os.uname().nodename)
    assert "Traceback" not in done.stderr
    assert all(ended((tmp_path / rank).read_text().split()[0]) for rank in "01")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ranks_end_with_what_started_them(toy, tmp_path, number):
    files = [tmp_path / rank for rank in "01"]
    with subprocess.Popen(toy("wait", processes=2), stderr=subprocess.DEVNULL) as launcher:
        while not all(file.exists() and file.read_text() for file in files):
            assert launcher.poll() is None
            time.sleep(0.05)
        launcher.send_signal(number)
    assert launcher.returncode == (143 if number == signal.SIGTERM else -9)
    until = time.monotonic() + 10
    pids = [file.read_text().split()[0] for file in files]
    while time.monotonic() < until and not all(map(ended, pids)):
        time.sleep(0.05)
    assert all(map(ended, pids))


@pytest.mark.recipe
def test_two_nodes(toy, tmp_path, free_port):
    port = free_port()
    nodes = [
        subprocess.Popen(toy("end", processes=1, nodes=2, node_rank=rank, master_port=port))
        for rank in (0, 1)
    ]
    assert [node.wait(60) for node in nodes] == [0, 0]
    assert all((tmp_path / rank).read_text().split()[1] == "2" for rank in "01")
