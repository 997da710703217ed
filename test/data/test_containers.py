"""Files that end too early, or whose headers leave their length open, by container."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.common.errors import AudioError
from espnet_robust.data.audio import audio_info, check_audio, read_audio

SAMPLES = 16_000
CONTAINERS = {
    "WAV": ("WAV", "PCM_16"),
    "WAV 24 bit": ("WAV", "PCM_24"),
    "WAV float": ("WAV", "FLOAT"),
    "WAV A-law": ("WAV", "ALAW"),
    "WAV ADPCM": ("WAV", "IMA_ADPCM"),
    "WAVEX": ("WAVEX", "PCM_16"),
    "RF64": ("RF64", "PCM_16"),
    "W64": ("W64", "PCM_16"),
    "AIFF": ("AIFF", "PCM_16"),
    "AIFC": ("AIFF", "ULAW"),
    "AU": ("AU", "PCM_16"),
    "SPHERE": ("NIST", "PCM_16"),
    "SPHERE mu-law": ("NIST", "ULAW"),
    "CAF": ("CAF", "PCM_16"),
    "FLAC": ("FLAC", "PCM_16"),
    "Ogg Vorbis": ("OGG", "VORBIS"),
    "Ogg Opus": ("OGG", "OPUS"),
    "MP3": ("MP3", "MPEG_LAYER_III"),
}


def speech(samples: int = SAMPLES, channels: int = 1) -> np.ndarray:
    t = np.arange(samples)[:, None] / 16_000
    tones = np.sin(2 * np.pi * 300 * t * (1 + np.arange(channels)))
    noise = np.random.default_rng(0).standard_normal((samples, channels))
    wav = 0.2 * tones + 0.02 * noise
    return wav[:, 0] if channels == 1 else wav


def encoded(container: str, wav: np.ndarray | None = None, rate: int = 16_000, **how) -> bytes:
    kind, subtype = CONTAINERS[container]
    buffer = io.BytesIO()
    soundfile.write(
        buffer, speech() if wav is None else wav, rate, format=kind, subtype=subtype, **how
    )
    return buffer.getvalue()


ENCODED = {name: encoded(name) for name in CONTAINERS}


@pytest.mark.parametrize("container", CONTAINERS)
@given(share=st.floats(0, 1), last=st.integers(0, 64))
def test_a_cut_file_is_refused_or_whole(tmp_path_factory, container, share, last):
    """At any place, near the end above all: never a shorter whole."""
    data = ENCODED[container]
    path = tmp_path_factory.getbasetemp() / "cut"
    path.write_bytes(data)
    want = read_audio(path)
    assert SAMPLES <= len(want) <= SAMPLES + 1024  # a codec may round up to its blocks
    for cut in (int(share * len(data)), len(data) - last):
        path.write_bytes(data[:cut])
        for read in (read_audio, check_audio, audio_info):
            try:
                found = read(path)
            except AudioError as e:
                assert str(path) in str(e) and "\n" not in str(e)
            else:
                samples = len(found) if read is read_audio else found.num_samples
                assert samples == len(want), (read, cut, len(data))


@pytest.mark.parametrize("container", CONTAINERS)
def test_half_a_file(tmp_path, container):
    path = tmp_path / "half"
    path.write_bytes(ENCODED[container][: len(ENCODED[container]) // 2])
    for read in (read_audio, check_audio):
        with pytest.raises(AudioError, match="truncated|damaged"):
            read(path)


def with_length(container: str, marker: bytes, value: int, order: str, size: int = 4) -> bytes:
    data = ENCODED[container]
    at = data.index(marker) + len(marker)
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
STREAMS = {
    **{
        f"{name} {length:#x}": with_length(name, b"data", length, "little")
        for name in ("WAV", "WAVEX", "WAV 24 bit")
        for length in (0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFF000 - 2)
    },
    **{
        f"AIFF {length:#x}": with_length("AIFF", b"SSND", length, "big")
        for length in (0, 0x7F000008, 0x7FFFFFFF)
    },
    "AU": with_length("AU", b".snd" + (24).to_bytes(4, "big"), 0xFFFFFFFF, "big"),
    "W64 of ffmpeg": with_length("W64", W64_DATA, 2**63 - 1, "little", 8),
    "FLAC": ENCODED["FLAC"][:21]
    + bytes((ENCODED["FLAC"][21] & 0xF0, 0, 0, 0, 0))
    + ENCODED["FLAC"][26:],
    "RF64 of ffmpeg": with_length("RF64", b"ds64\x1c\x00\x00\x00", 0, "little", 24),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_are_read_to_their_end(tmp_path, stream):
    path = tmp_path / "stream"
    path.write_bytes(STREAMS[stream])
    assert audio_info(path) == check_audio(path) == (SAMPLES, 16_000, 1)
    np.testing.assert_allclose(read_audio(path), speech(), atol=2**-14)
    np.testing.assert_allclose(
        read_audio(path, start=15_000, num_samples=900), speech()[15_000:15_900], atol=2**-14
    )
    assert len(read_audio(path, rate=8_000)) == SAMPLES // 2


def test_no_samples_are_no_stream(tmp_path):
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0), 16_000)
    for more in (b"", b"LIST\x04\x00\x00\x00INFO"):
        path.write_bytes(path.read_bytes() + more)
        with pytest.raises(AudioError, match="no samples"):
            read_audio(path)


@pytest.mark.skipif(not shutil.which("sox"), reason="sox is not installed")
@pytest.mark.parametrize("options", [["wav"], ["wav", "-b24"], ["aiff"], ["au"], ["sph"], ["flac"]])
def test_streams_of_sox(tmp_path, options):
    soundfile.write(tmp_path / "a.wav", speech(), 16_000)
    kind, *bits = options
    command = f"sox -D {tmp_path / 'a.wav'} {' '.join(bits)} -t {kind} - 2>/dev/null | cat"
    stream = subprocess.run(command, shell=True, capture_output=True, check=True).stdout
    (tmp_path / "stream").write_bytes(stream)
    assert check_audio(tmp_path / "stream").num_samples == SAMPLES
    assert len(read_audio(command + " |", allow_pipe=True)) == SAMPLES


MP3 = {
    (mode, rate, channels): encoded(
        "MP3", speech(2 * rate, channels), rate, bitrate_mode=mode, compression_level=level
    )
    for mode, level in (("CONSTANT", 0.2), ("VARIABLE", 0.5), ("VARIABLE", 0.9))
    for rate, channels in ((16_000, 1), (44_100, 1), (44_100, 2), (8_000, 1), (22_050, 2))
}


def without_xing(data: bytes) -> bytes:
    """The stream without its first frame, which is the only one that is not sound."""
    kind = data[:2]
    return data[next(i for i in range(4, len(data)) if data[i : i + 2] == kind) :]


@pytest.mark.parametrize("key", MP3, ids=str)
def test_mp3(tmp_path, key):
    """With a header: to the sample. Without: every frame, whatever the first one's bit rate."""
    _, rate, channels = key
    path = tmp_path / "a.mp3"
    path.write_bytes(MP3[key])
    assert audio_info(path) == (2 * rate, rate, channels)
    tag = b"TAG".ljust(128, b"\0")
    whole = MP3[key]
    at = max(whole.find(b"Xing", 0, 200), whole.find(b"Info", 0, 200))
    frames = int.from_bytes(whole[at + 8 : at + 12], "big")
    per_frame = 1152 if rate > 24_000 else 576
    for data in (
        without_xing(whole),
        without_xing(whole) + tag,
        whole[: at + 8] + bytes(8) + whole[at + 16 :],
    ):
        path.write_bytes(data)
        assert audio_info(path).num_samples == frames * per_frame
    path.write_bytes(whole + whole)  # the second header is a frame of silence
    assert audio_info(path).num_samples == (2 * frames + 1) * per_frame


@pytest.mark.parametrize("rate", [1, 50, 3_999, 384_001, 2_000_000_000])
def test_rates_that_speech_does_not_have(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", speech(100), rate)
    for read in (read_audio, check_audio, audio_info):
        with pytest.raises(AudioError, match=f"header says {rate} Hz; rates must be from 4000"):
            read(tmp_path / "a.wav")


def test_containers_that_cannot_be_checked(tmp_path):
    soundfile.write(tmp_path / "a.voc", speech(), 16_000, format="VOC")
    with pytest.raises(AudioError, match="VOC is not supported; fix: sox"):
        read_audio(tmp_path / "a.voc")


@pytest.mark.parametrize("peak", [3e29, 1e19, 3e38])
def test_samples_beyond_all_sound(tmp_path, peak):
    wav = np.zeros(1000)
    wav[500] = -peak
    soundfile.write(tmp_path / "a.wav", wav, 16_000, subtype="FLOAT")
    for read in (read_audio, check_audio):
        with pytest.raises(AudioError, match=r"a.wav: a sample of [\d.e+]+; 1 is full scale"):
            read(tmp_path / "a.wav")


@given(
    junk=st.binary(max_size=200), container=st.sampled_from(sorted(CONTAINERS)), at=st.floats(0, 1)
)
def test_damage_is_one_line(tmp_path_factory, junk, container, at):
    """Bytes overwritten anywhere, headers included: samples or an AudioError, never a crash."""
    data = bytearray(ENCODED[container])
    place = int(at * len(data)) if len(junk) % 2 else int(at * 128)
    data[place : place + len(junk)] = junk
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    for read in (audio_info, check_audio, read_audio):
        try:
            found = read(path)
        except AudioError as e:
            assert "\n" not in str(e)
        else:
            if read is read_audio:
                assert np.isfinite(found).all() and len(found) <= 3 * SAMPLES * 16
