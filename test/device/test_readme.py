"""README's section "To the device" works as written, on a recogniser of a few thousand weights."""

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
import soundfile

from test.test_readme import blocks, section

from .conftest import spoken

HERE = "needs pip install -e '.[device]'"  # in a comment of README's first command


@pytest.fixture(scope="module")
def text(root) -> str:
    return section(root / "README.md", "To the device")


@pytest.fixture(scope="module")
def typed(text) -> list[list[str]]:
    """The commands of the section's first block, as words; one joined by && counts as several."""
    block, _ = blocks(text, "bash")
    lines = [line for row in block.splitlines() for line in row.split(" && ")]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture(scope="module")
def run(root, tmp_path_factory, experiment, data):
    """run(*words): run Python in a directory that has what README's commands name."""
    here = tmp_path_factory.mktemp("readme")
    for name, target in (("exp/asr", experiment), ("data/dev_noise", data)):
        (here / name).parent.mkdir()
        (here / name).symlink_to(target)
    soundfile.write(here / "speech.wav", spoken("AB C"), 16000)
    env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=here, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    call.here = here
    return call


def test_export_transcribe_and_sherpa(text, typed, run):
    commands = [words for words in typed if words[0] == "espnet-robust"]
    assert [words[1] for words in commands] == ["export", "transcribe"]
    export, transcribe = (["-m", "espnet_robust", *words[1:]] for words in commands)
    run(*export)
    files = [name for name in written(text) if not name.startswith("stream.")]
    assert len(files) == 5 and all((run.here / "device" / name).is_file() for name in files)
    name, heard = run(*transcribe).rstrip("\n").split("\t")
    assert name == "speech.wav" and heard
    pytest.importorskip("sherpa_onnx")
    (code,) = blocks(text, "python")
    assert run("-c", code).strip() == heard


def written(text: str) -> list[str]:
    """The files in the section's table."""
    table = [row for row in text.splitlines() if re.match(r"\| `\w+\.", row)]
    return [name for row in table for name in re.findall(r"`([\w.]+)`", row.split("|")[1])]


def test_a_stream_from_a_pipe(root, text, stream_experiment, tmp_path):
    _, block = blocks(text, "bash")
    export, microphone, pipe = (shlex.split(line, comments=True) for line in block.splitlines())
    assert microphone[:3] == ["espnet-robust", "transcribe", "device/stream.onnx"]
    exp = tmp_path / export[2]
    exp.parent.mkdir(parents=True)
    exp.symlink_to(stream_experiment)
    env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    samples = (2**15 * spoken("AB C")).astype("<i2").tobytes()
    for words, heard in ((export, b""), (pipe[pipe.index("|") + 1 :], samples)):
        done = subprocess.run(
            [sys.executable, "-m", "espnet_robust", *words[1:]],
            input=heard, cwd=tmp_path, env=env, capture_output=True, check=True,
        )  # fmt: skip
    assert done.stdout.strip()
    streams = {name for name in written(text) if name.startswith("stream.")}
    assert streams == {path.name for path in (tmp_path / "device").glob("stream*")}


def test_what_it_installs_is_there(root, text, typed):
    """The names given to pip are those of installed packages, and of an extra of this one."""
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert HERE in text
    names = {*extras["device"], *re.search(r"`pip install (.+?)`", text)[1].split()}
    installs = [words[2:] for words in typed if words[:2] == ["pip", "install"]]
    assert installs[0] == ["--no-deps", "."] and len(installs) == 2
    for name in {*names, *installs[1]}:
        assert importlib.metadata.version(name)
    # What is installed there is what transcribe needs; test_transcriber.py refuses the rest.
    assert set(installs[1]) == {"onnxruntime", "numpy", "soundfile", "soxr"}
