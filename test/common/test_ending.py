"""A recipe that ends takes its commands with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = """
import sys, time
from pathlib import Path
from espnet_robust.common.cli import run

def main():
    Path(sys.argv[1]).write_text(str(__import__("os").getpid()))
    time.sleep(60)

run(main)
"""
# As stages.sh does it: in a pipeline in the background, or as the shell's own child.
RECIPE = {
    "background": '("$@" 2>&1 | cat) & wait',
    "foreground": '"$@"; true',
    "folds": """bash -c 'ESPNET_ROBUST_RECIPES+=" ${HOSTNAME}:$$" "$@" | cat' fold "$@" & wait""",
}


def hear_ctrl_c() -> None:
    """Whoever runs the tests in the background has SIGINT ignored, and a shell keeps that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(tmp_path: Path, how: str, recipe: str = "${HOSTNAME}:$$") -> tuple[subprocess.Popen, int]:
    """A shell with a command, and the command's id."""
    script = f'export ESPNET_ROBUST_RECIPES="{recipe}"; {RECIPE[how]}'
    pid_file = tmp_path / "pid"
    shell = subprocess.Popen(
        ["bash", "-c", script, "run.sh", sys.executable, "-c", COMMAND, pid_file],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    while not (pid_file.exists() and pid_file.read_text()):
        time.sleep(0.01)
    return shell, int(pid_file.read_text())


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("how", list(RECIPE))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_commands_end_with_the_shell_alone(tmp_path, how, number):
    shell, pid = start(tmp_path, how)
    # Ctrl-C goes to all processes; those in the background do not hear it.
    (os.killpg if number == signal.SIGINT else os.kill)(shell.pid, number)
    shell.wait(10)
    for _ in range(200):
        if not lives(pid):
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("it goes on")


def test_commands_of_another_host_are_left_alone(tmp_path):
    shell, pid = start(tmp_path, "background", "elsewhere:1")
    shell.kill()
    shell.wait()
    time.sleep(0.5)
    assert lives(pid)
    os.kill(pid, signal.SIGKILL)
