import io

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import AudioError
from espnet_robust.data.audio import (
    audio_info,
    check_audio,
    fit_range,
    read_audio,
    resample,
    to_int16,
    write_audio,
)


@pytest.fixture
def wav():
    noise = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    return 0.1 * noise


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_round_trip(tmp_path, wav, suffix):
    path = tmp_path / f"a.{suffix}"
    write_audio(path, wav)
    assert audio_info(path) == (20_000, 16_000, 1)
    again = read_audio(path)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, to_int16(wav) / np.float32(32768))
    np.testing.assert_array_equal(read_audio(path, start=300, num_samples=50), again[300:350])
    write_audio(tmp_path / "b.wav", again)
    np.testing.assert_array_equal(read_audio(tmp_path / "b.wav"), again)


def test_kaldi_arks(tmp_path, wav):
    pcm = to_int16(wav)
    ark, scp = tmp_path / "a.ark", tmp_path / "a.scp"
    flac = {"write_function": "soundfile", "write_kwargs": {"format": "flac"}}
    for options in ({}, flac):
        kaldiio.save_ark(
            str(ark), {"a": (16000, pcm[:500]), "b": (16000, pcm)}, str(scp), **options
        )
        entries = dict(line.split() for line in scp.read_text().splitlines())
        assert audio_info(entries["a"]).num_samples == 500
        np.testing.assert_array_equal(read_audio(entries["b"]), pcm / np.float32(32768))
        np.testing.assert_array_equal(
            read_audio(entries["b"], start=7, num_samples=9), pcm[7:16] / np.float32(32768)
        )
    with pytest.raises(AudioError, match="no audio at this offset"):
        read_audio(f"{ark}:1")


def test_pipes_only_if_allowed(tmp_path, wav):
    write_audio(tmp_path / "a.flac", wav)
    command = f"cat {tmp_path / 'a.flac'} |"
    with pytest.raises(AudioError, match="only files are read"):
        read_audio(command)
    assert len(read_audio(command, allow_pipe=True)) == 20_000
    with pytest.raises(AudioError, match="failed with status 3: oh"):
        read_audio("echo oh >&2; exit 3 |", allow_pipe=True)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_crop_of_resampled_audio(tmp_path, rate):
    t = np.arange(2 * rate) / rate
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * t), rate)
    whole = read_audio(tmp_path / "a.wav")
    assert len(whole) == audio_info(tmp_path / "a.wav").num_samples_at(16_000) == 32_000
    np.testing.assert_allclose(
        whole[1000:-1000], 0.5 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000)[1000:-1000],
        atol=2e-3,
    )  # fmt: skip
    crop = read_audio(tmp_path / "a.wav", start=12_345, num_samples=1_000)
    np.testing.assert_allclose(crop, whole[12_345:13_345], atol=1e-3)
    with pytest.raises(AudioError, match=f"{rate} Hz, need 16000 Hz"):
        read_audio(tmp_path / "a.wav", on_rate="refuse")


def encoded(samples, **kwargs):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16000, **kwargs)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "empty file"),
        (b"RIFF but not really", "not audio"),
        (encoded(np.zeros(0), format="WAV"), "no samples"),
        (encoded(np.zeros((50, 2)), format="WAV"), "2 channels, need mono"),
        (encoded([0.0, np.nan], format="WAV", subtype="FLOAT"), "NaN or infinite"),
        (encoded([np.inf, 0.0], format="WAV", subtype="FLOAT"), "NaN or infinite"),
    ],
    # Not the bytes: libsndfile writes the time of day into floating-point files.
    ids=["missing", "empty", "no audio", "no samples", "stereo", "NaN", "infinite"],
)
def test_bad_files(tmp_path, content, message):
    if content is not None:
        (tmp_path / "bad.wav").write_bytes(content)
    for check in (read_audio, check_audio):
        with pytest.raises(AudioError, match=message) as e:
            check(tmp_path / "bad.wav")
        assert "bad.wav" in str(e.value)


def test_truncated_flac(tmp_path, wav):
    write_audio(tmp_path / "a.flac", wav)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) // 2])
    for check in (read_audio, check_audio):
        with pytest.raises(AudioError, match="a.flac"):
            check(tmp_path / "a.flac")


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("channels", [1, 2])
def test_truncated_flac_opens_but_does_not_pass_the_check(tmp_path, channels, kept):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (50_000, channels))
    data = encoded(noise, format="FLAC")
    (tmp_path / "a.flac").write_bytes(data[: int(kept * len(data))])
    assert audio_info(tmp_path / "a.flac").num_samples == 50_000
    with pytest.raises(AudioError, match="a.flac: not audio, damaged or truncated"):
        check_audio(tmp_path / "a.flac", mono=False)


@pytest.mark.parametrize(
    "options", [{"format": "FLAC"}, {"format": "WAV"}, {"format": "WAV", "subtype": "FLOAT"}]
)
def test_silent_audio(tmp_path, options):
    """At most one step of 16 bits: the distortion engine cannot use it either."""
    path = tmp_path / "a.bin"
    late = np.zeros(200_000)
    late[150_000] = 0.001
    for wav, sounds in (
        (np.zeros(200_000), False),
        (np.full(3, 2.0**-15), False),
        (late, True),
        (np.ones(1) / 2, True),
        (np.stack([late, late], axis=1), True),
    ):
        path.write_bytes(encoded(wav, **options))
        assert check_audio(path, mono=False).num_samples == len(wav)
        if sounds:
            check_audio(path, mono=False, allow_silent=False)
            continue
        with pytest.raises(AudioError, match="a.bin: silent from start to end; remove the file"):
            check_audio(path, mono=False, allow_silent=False)


def test_every_float_is_checked(tmp_path):
    wav = np.ones((200_000, 2)) / 2
    for place in (0, 150_000, 199_999):
        bad = wav.copy()
        bad[place, 1] = np.nan
        (tmp_path / "a.wav").write_bytes(encoded(bad, format="WAV", subtype="FLOAT"))
        for allow_silent in (True, False):
            with pytest.raises(AudioError, match="a.wav: NaN or infinite"):
                check_audio(tmp_path / "a.wav", mono=False, allow_silent=allow_silent)


def test_crop_outside(tmp_path, wav):
    write_audio(tmp_path / "a.wav", wav)
    with pytest.raises(AudioError, match="asked for samples 19990 to 20010, but it has 20000"):
        read_audio(tmp_path / "a.wav", start=19_990, num_samples=20)


def test_full_scale(tmp_path):
    loud = np.array([0.5, -2.0, 1.0], np.float32)
    with pytest.warns(UserWarning, match="peak 2.00 exceeds full scale"):
        write_audio(tmp_path / "a.wav", loud)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), loud / 2, atol=2**-15)
    with pytest.raises(AudioError, match=r"peak 2\.00 exceeds full scale"):
        write_audio(tmp_path / "b.wav", loud, clip="refuse")
    assert not (tmp_path / "b.wav").exists()
    with pytest.raises(AudioError, match="NaN"):
        fit_range(np.array([np.nan]), "x")
    assert to_int16(np.array([1.0, -1.0])).tolist() == [32767, -32768]


def test_write_refuses(tmp_path):
    for name, samples in [
        ("a.wav", np.zeros(0)),
        ("a.wav", np.zeros((2, 2))),
        ("a.mp3", [0.0]),
    ]:
        with pytest.raises(AudioError):
            write_audio(tmp_path / name, np.asarray(samples))
    with pytest.raises(AudioError, match="cannot be written: No such file"):
        write_audio(tmp_path / "nowhere" / "a.wav", np.zeros(3))
    assert list(tmp_path.iterdir()) == []


def test_disk_full():
    with pytest.raises(AudioError, match="cannot be written"):
        write_audio("/dev/full/a.wav", np.zeros(3))


def test_resample_keeps_a_tone():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    up = resample(tone, 16_000, 48_000)
    assert len(up) == 48_000
    assert np.argmax(np.abs(np.fft.rfft(up))) == 1000
