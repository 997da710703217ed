"""A recipe that is ended takes everything that it started with it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from test.recipes.conftest import FEW


def working_in(folder: Path) -> list[str]:
    """Command lines of the processes in a folder, zombies left out."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")).is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended, or is another user's
    return [line for line in found if line]


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("number", "processes"),
    [(signal.SIGTERM, "1"), (signal.SIGINT, "2"), (signal.SIGKILL, "1"), (signal.SIGKILL, "2")],
)
def test_nothing_goes_on(recipe, number, processes):
    tag = f"{number.name.lower()}{processes}"
    process = subprocess.Popen(
        ["./run.sh", *FEW, "--tag", tag, "--stage", "5", "--systems", "distilhubert cdm1",
         "--num_procs", processes],
        cwd=recipe,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # Whoever runs the tests in the background has SIGINT ignored, and a shell keeps that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    logs = [
        recipe / f"exp/{tag}/short/{name}_seed0/distill.log" for name in ("distilhubert", "cdm1")
    ]
    until = time.monotonic() + 120
    while not all(log.exists() and "epoch started" in log.read_text() for log in logs):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    assert process.wait(10) != 0
    until = time.monotonic() + 10
    while time.monotonic() < until and working_in(recipe):
        time.sleep(0.1)
    assert not working_in(recipe)
    record = json.loads((recipe / f"exp/{tag}/short/cdm1_seed0/distill/made_of.json").read_text())
    assert not record["done"]
