"""The line of a terminal that a job has, alone and in ``each_system`` of a recipe."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from espnet_robust.common.live import LINE, Line, clock, counted, own_line, time_left

STAGES = Path(__file__).parents[2] / "egs/TEMPLATE/stages.sh"


@pytest.fixture
def terminal():
    """(a function that reads what is on it, its file descriptor): 10 rows of 40 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))

    def read() -> str:
        text = b""
        while select.select([ours], [], [], 0.1)[0]:
            text += os.read(ours, 1 << 16)
        return text.decode()

    yield read, theirs
    os.close(ours)
    os.close(theirs)


def test_a_line_is_replaced_where_it_is_and_cut_to_the_width(terminal):
    read, fd = terminal
    Line(fd, 2).show("a" * 50)
    assert read() == f"\x1b[2A\r\x1b[K{'a' * 39}\x1b[2B\r"


def test_a_terminal_that_is_gone_stops_nothing(tmp_path):
    with open(tmp_path / "log", "w") as log:
        Line(log.fileno(), 1).show("text")  # no terminal
    ours, theirs = pty.openpty()
    os.close(ours)
    os.close(theirs)
    Line(theirs, 1).show("text")
    assert (tmp_path / "log").read_text() == ""


def test_own_line(monkeypatch):
    monkeypatch.delenv(LINE, raising=False)
    assert own_line() is None
    monkeypatch.setenv(LINE, "3 2")
    assert own_line() == Line(3, 2)


def test_counted_shows_how_many_are_done(terminal, monkeypatch):
    read, fd = terminal
    monkeypatch.setenv(LINE, f"{fd} 1")
    assert list(counted(["a", "b"], "decode x", "condition")) == ["a", "b"]
    shown = re.findall(r"decode x: [^\x1b]*", read())
    assert shown[0] == "decode x: 0/2 conditions"
    assert shown[1:] == ["decode x: 1/2 conditions, 0:00 left", "decode x: done in 0:00"]


def test_times():
    assert (clock(0.4), clock(59.6), clock(3600)) == ("0:00", "1:00", "1:00:00")
    assert time_left(5.0, 0.0, 1.0) == ""


def screen(text: str) -> list[str]:
    """What a terminal shows after ``text``: rows, without those that are empty at its end."""
    rows, row, column = [""], 0, 0
    for escape, count, other in re.findall(r"\x1b\[(\d*)([ABK])|(.)", text, re.DOTALL):
        if count == "K":
            rows[row] = rows[row][:column]
        elif count:
            row += int(escape or 1) * (-1 if count == "A" else 1)
        elif other == "\r":
            column = 0
        elif other == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        else:
            rows[row] = rows[row][:column].ljust(column) + other + rows[row][column + 1 :]
            column += 1
    return [line for line in rows if line]


def each_system(tmp_path: Path, job: str, stderr: int) -> subprocess.CompletedProcess:
    """Run ``each_system job train`` of the recipes on systems a and b, two at a time."""
    code = STAGES.read_text()
    functions = code[code.index("exec 3>&2") : code.index("# each_student")]
    script = f"""
        set -euo pipefail
        die() {{ echo "error: $*" >&2; exit 1; }}
        systems="a b" seeds=0 nj=2 cluster= exp={tmp_path}
        {functions}
        show() {{
            local up=${{ESPNET_ROBUST_LINE#3 }}
            printf '\\e[%sA\\r\\e[K%s\\e[%sB\\r' "$up" "$1 ran" "$up" >&3
        }}
        job() {{ {job}; }}
        each_system job train
    """
    return subprocess.run(["bash", "-c", script], stderr=stderr, stdout=stderr, timeout=20)


def test_each_system_gives_every_job_its_line(terminal, tmp_path):
    read, fd = terminal
    job = '[ "$1" = a ] || sleep 0.2; echo "$1 said" >&2; show "$1"'
    assert each_system(tmp_path, job, fd).returncode == 0
    assert screen(read()) == ["a ran", "b ran", "a said", "b said"]
    assert not list(tmp_path.rglob(".shown"))


def test_the_error_of_a_job_stays_below_the_lines(terminal, tmp_path):
    read, fd = terminal
    job = 'if [ "$1" = a ]; then echo "error: no audio" >&2; return 1; fi; sleep 0.3; show "$1"'
    assert each_system(tmp_path, job, fd).returncode == 1
    assert screen(read()) == [
        "a 0", "b ran", "error: no audio", "error: a system failed; see above",
    ]  # fmt: skip


def test_without_a_terminal_or_with_too_small_a_one_jobs_write_as_they_please(tmp_path, terminal):
    job = 'echo "$1 ${ESPNET_ROBUST_LINE-none}" >&2'
    with open(tmp_path / "log", "w") as log:
        assert each_system(tmp_path, job, log.fileno()).returncode == 0
    assert sorted((tmp_path / "log").read_text().split("\n")) == ["", "a none", "b none"]
    read, fd = terminal
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 2, 40, 0, 0))
    assert each_system(tmp_path, job, fd).returncode == 0
    assert sorted(screen(read())) == ["a none", "b none"]
