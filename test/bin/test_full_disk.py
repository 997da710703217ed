"""Commands of stage 1 where nothing can be written: one line, and nothing that looks complete."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import soundfile


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A data dir, noises and rooms in the current directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("speech/u.wav", *(f"mine/noise/{n}.wav" for n in range(3)),
                 *(f"mine/rir/room{n}/a.wav" for n in range(3))):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        wav = np.random.default_rng(0).uniform(-0.1, 0.1, (1600, 2))
        soundfile.write(tmp_path / name, wav, 16000)
    (tmp_path / "src").mkdir()
    for name, entry in (("wav.scp", "speech/u.wav"), ("text", "A"), ("utt2spk", "u")):
        (tmp_path / "src" / name).write_text(f"u {entry}\n")
    return tmp_path


def full() -> None:
    """Not a byte goes into a file any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["combine_data_dirs", "src", "data/train"], "data/train"),
        (["prepare_noise", "mine"], "data/noise_train"),
        (["prepare_corpus", "audio_folder", "--root", "mine/noise", "--name", "n"], "data/n"),
        (["make_tokens", "--type", "char", "--out", "data/tokens", "src/text"],
         "data/tokens/tokens.txt"),
        (["validate_data_dir", "--add_tables", "src"], "src/utt2num_samples"),
    ],
)  # fmt: skip
def test_one_line(root, source, words, made):
    done = subprocess.run(
        [sys.executable, "-B", "-m", f"espnet_robust.bin.{words[0]}", *words[1:]],
        env=os.environ | {"PYTHONPATH": str(root)}, preexec_fn=full, capture_output=True, text=True,
    )  # fmt: skip
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1 and len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr and "File too large" in errors[0]
    assert not (source / made).exists()
