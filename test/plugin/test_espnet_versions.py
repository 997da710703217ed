"""Which ESPnet is there, and what is said of one that cannot be used."""

import subprocess
import sys

import pytest

from espnet_robust.common.errors import ConfigError
from espnet_robust.plugin import espnet_versions
from espnet_robust.plugin.espnet_versions import NETS, NEWEST, OLDEST, check, from_nets, needed


@pytest.fixture
def pretend(monkeypatch):
    """Let another release be installed."""
    return lambda found: monkeypatch.setattr(espnet_versions, "version", lambda name: found)


def test_what_is_needed_is_there():
    names = set(needed())
    assert {"espnet2.tasks.abs_task.AbsTask", "espnet2.tasks.cls.CLSTask", *NETS} <= names
    assert not [name for name in names if espnet_versions._is_missing(name)]


@pytest.mark.parametrize("name", NETS)
def test_from_nets(name):
    assert from_nets(name).__name__ == name


@pytest.mark.parametrize("release", ["202612", "202701.post1", "202511.1"])
def test_another_release_with_all_that_is_needed_works(pretend, release):
    pretend(release)
    check()


@pytest.mark.parametrize(
    ("release", "message"),
    [
        ("202412", f"ESPnet 202412 is older than {OLDEST}, the oldest that espnet_robust works"),
        ("0.10.7a1", f"ESPnet 0.10.7a1 is older than {OLDEST}"),
    ],
)
def test_older_ones_are_refused(pretend, release, message):
    pretend(release)
    with pytest.raises(ConfigError, match=message):
        check()


def test_a_newer_one_says_what_it_lacks(pretend, monkeypatch):
    pretend("202705")
    monkeypatch.setattr(espnet_versions, "NETS", {"BeamOfLight": "beams"})
    monkeypatch.delattr("espnet2.tasks.abs_task.AbsTask")
    with pytest.raises(ConfigError) as e:
        check()
    assert str(e.value) == (
        "ESPnet 202705 has no BeamOfLight, espnet2.tasks.abs_task.AbsTask, which espnet_robust "
        f"needs; install one that is tested: pip install espnet=={NEWEST}"
    )


# A process with an ESPnet of that release, or none, which fails when more than its name is wanted.
COMMAND = """\
import importlib.metadata, importlib.util, sys
release = sys.argv.pop(1)
importlib.metadata.version = lambda name: release
if not release:
    find_spec = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *a: None if name == "espnet2" else find_spec(name, *a)
sys.modules["espnet2.asr"] = sys.modules["espnet2.tasks"] = None
import runpy
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("command", "options", "release", "message"),
    [
        ("run", ["espnet2.bin.asr_train"], "", "ESPnet is not installed beside espnet_robust;"),
        ("bin.distill_train", ["--help"], "202402", "ESPnet 202402 is older than"),
        ("bin.decode", ["--exp", "x", "--out", "x", "."], "203001", "ESPnet 203001 has no "),
    ],
)
def test_commands_say_it_in_one_line(command, options, release, message, tmp_path):
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, release, f"espnet_robust.{command}", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1
