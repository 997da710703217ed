"""Extracted audio: what is kept and what is made again."""

import os

import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import AudioError
from espnet_robust.corpora import layout
from espnet_robust.data.audio import read_audio

OLD = 1_000_000_000  # s: archives, cp -p and rsync keep the times of files


def stereo(path, level: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((1600, 2), level), 16000)
    os.utime(path, (OLD, OLD))


@pytest.fixture
def level(prepared):
    """level(root) -> the level of ROOT/street.wav, as the data dir has it."""

    def of(root) -> float:
        data = prepared("audio_folder", "--root", root, "--name", "noise_train")["noise_train"]
        return round(float(read_audio(data.wav["street"]).mean()), 2)

    return of


def test_audio_of_another_root_replaces_that_of_the_first(tmp_path, level):
    stereo(tmp_path / "A/street.wav", 0.1)
    stereo(tmp_path / "B/street.wav", 0.5)
    assert level(tmp_path / "A") == 0.1
    assert level(tmp_path / "B") == 0.5
    assert level(tmp_path / "A") == 0.1


def test_a_replaced_file_is_extracted_again_however_old(tmp_path, level):
    source = tmp_path / "A/street.wav"
    stereo(source, 0.1)
    assert level(tmp_path / "A") == 0.1
    stereo(source, 0.5)
    os.utime(source, (OLD - 1, OLD - 1))
    assert level(tmp_path / "A") == 0.5


def test_audio_that_is_current_is_kept(tmp_path, level):
    stereo(tmp_path / "A/street.wav", 0.1)
    assert level(tmp_path / "A") == 0.1
    flac = tmp_path / "data/noise_train_audio/street.flac"
    before = flac.stat()
    assert level(tmp_path / "A") == 0.1
    assert flac.stat().st_ino == before.st_ino and flac.stat().st_mtime_ns == before.st_mtime_ns


def test_audio_without_a_record_is_extracted_again(tmp_path, level):
    """As earlier versions, or a run killed between the two, leave it."""
    stereo(tmp_path / "A/street.wav", 0.1)
    level(tmp_path / "A")
    audio = tmp_path / "data/noise_train_audio"
    for damage in (lambda f: f.write_bytes(f.read_bytes()[:9]), lambda f: f.unlink()):
        soundfile.write(audio / "street.flac", np.full(1600, 0.3), 16000)
        damage(audio / ".street.src")
        assert level(tmp_path / "A") == 0.1


def test_interrupted_extraction_leaves_no_record_of_other_audio(tmp_path, level, monkeypatch):
    stereo(tmp_path / "A/street.wav", 0.1)
    stereo(tmp_path / "B/street.wav", 0.5)
    level(tmp_path / "A")
    write = layout.write_audio

    def killed(*args, **options):
        write(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(layout, "write_audio", killed)
        level(tmp_path / "B")
    assert level(tmp_path / "A") == 0.1


def test_broken_source_leaves_the_audio_as_it_was(tmp_path, level):
    stereo(tmp_path / "A/street.wav", 0.1)
    stereo(tmp_path / "B/street.wav", 0.5)
    level(tmp_path / "A")
    whole = (tmp_path / "B/street.wav").read_bytes()
    (tmp_path / "B/street.wav").write_bytes(whole[:2000])
    with pytest.raises(AudioError):
        level(tmp_path / "B")
    flac = tmp_path / "data/noise_train_audio/street.flac"
    before = flac.stat().st_mtime_ns
    assert level(tmp_path / "A") == 0.1
    assert flac.stat().st_mtime_ns == before
