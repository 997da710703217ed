"""The transcriber reads a whole file or refuses it, as data dirs do, in windows."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import AudioError
from espnet_robust.data.audio import read_audio
from espnet_robust.device.audio import open_source, read_blocks
from test.data.test_containers import CONTAINERS, ENCODED, MP3, STREAMS, speech, without_xing

WHOLE = {
    **ENCODED,
    **{f"stream: {name}": data for name, data in STREAMS.items()},
    **{f"MP3 without counts {key}": without_xing(data) for key, data in MP3.items()},
}


def read(path, rate):
    return np.concatenate(list(read_blocks(open_source(path), rate)))


@pytest.mark.parametrize("name", WHOLE)
def test_it_hears_every_sample_that_data_dirs_hear(tmp_path, name):
    path = tmp_path / "audio"
    path.write_bytes(WHOLE[name])
    source = open_source(path)
    found = read(path, source.rate)
    assert len(found) == source.frames
    if source.channels == 1:
        np.testing.assert_array_equal(found, read_audio(path, rate=source.rate))


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_file_that_ends_too_early_is_refused(tmp_path, name, share):
    path = tmp_path / "cut"
    path.write_bytes(ENCODED[name][: int(share * len(ENCODED[name]))])
    with pytest.raises(AudioError, match=f"{path}: .*(truncated|damaged)") as refusal:
        read(path, 16_000)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("peak", [np.nan, np.inf, -3e29])
def test_samples_that_are_no_sound_are_refused(tmp_path, peak):
    wav = np.zeros((1000, 2))
    wav[500, 1] = peak
    soundfile.write(tmp_path / "a.wav", wav, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"a.wav: (NaN or infinite|a sample of 3e\+29)"):
        read(tmp_path / "a.wav", 16_000)


def test_a_name_that_data_dirs_would_take_for_a_command(tmp_path):
    (tmp_path / "this |").write_bytes(ENCODED["WAV"])
    assert len(read(tmp_path / "this |", 16_000)) == 16_000


SECOND = speech(16_000)


def open_flac(data: bytes) -> bytes:
    """The header says no length, as ffmpeg writes it to a pipe."""
    return data[:21] + bytes((data[21] & 0xF0, 0, 0, 0, 0)) + data[26:]


@pytest.mark.parametrize(
    ("container", "change"),
    [("WAV", bytes), ("FLAC", bytes), ("FLAC", open_flac), ("Ogg Vorbis", bytes),
     ("MP3", bytes), ("MP3", without_xing)],
)  # fmt: skip
def test_memory_does_not_grow_with_the_file(tmp_path, container, change):
    path = tmp_path / "long"
    kind, subtype = CONTAINERS[container]
    with soundfile.SoundFile(path, "w", 16_000, 1, subtype, format=kind) as f:
        for _ in range(180):  # in one piece, libsndfile's Vorbis crashes
            f.write(SECOND)
    path.write_bytes(change(path.read_bytes()))
    open_source(path)  # imports what it needs
    tracemalloc.start()
    try:
        samples = sum(len(block) for block in read_blocks(open_source(path), 16_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples >= 180 * len(SECOND)
    # Two blocks of a million samples to count; an MP3 file without counts is itself in memory.
    assert peak < 9e6 + (2 * path.stat().st_size if container == "MP3" else 0)
