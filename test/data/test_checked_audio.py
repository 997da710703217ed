import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import AudioError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.checked_audio import CheckedAudio


class Files(dict):
    """As ESPnet's reader of ``sound``: it knows paths, and drops what it does not like."""

    def get_path(self, utt):
        return self[utt]


@pytest.fixture
def wav():
    return 0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_the_same_as_read_audio(tmp_path, wav, rate):
    path = str(tmp_path / "a.flac")
    soundfile.write(path, wav, rate)
    checked = CheckedAudio(Files(u=path), 16_000, "wav.scp")
    found_rate, found = checked["u"]
    assert found_rate == 16_000 and list(checked) == ["u"] and len(checked) == 1
    assert "u" in checked and "v" not in checked
    np.testing.assert_array_equal(found, read_audio(path))


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_an_ark_is_scaled_and_resampled(tmp_path, wav, rate):
    """kaldiio gives integers up to 32768, decoding reads floats up to 1."""
    ark, scp = tmp_path / "a.ark", tmp_path / "a.scp"
    kaldiio.save_ark(str(ark), {"u": (rate, (wav * 32768).astype(np.int16))}, str(scp))
    entry = scp.read_text().split()[1]
    loaded = kaldiio.load_mat(entry)
    for pair in (loaded, loaded[::-1]):
        _, found = CheckedAudio({"u": pair}, 16_000, "wav.scp")["u"]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, read_audio(entry), atol=1e-6)


def test_features_are_handed_on():
    features = np.full((3, 80), 1e5)
    assert CheckedAudio({"u": features}, 16_000, "feats.scp")["u"] is features


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("half.wav", "wav.scp: utterance u: half.wav: truncated: its header promises"),
        ("none.wav", "wav.scp: utterance u: none.wav: no such file"),
        ("loud.wav", "wav.scp: utterance u: loud.wav: a sample of 3e\\+29"),
        ("cat half.wav |", "only files are read"),
    ],
)
def test_file_and_utterance_are_named(tmp_path, monkeypatch, wav, entry, message):
    monkeypatch.chdir(tmp_path)
    soundfile.write("whole.wav", wav, 16_000)
    data = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "half.wav").write_bytes(data[: len(data) // 2])
    soundfile.write("loud.wav", wav * 1e30, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=message.replace("3e\\+29", r"[\d.]+e\+29")):
        CheckedAudio(Files(u=entry), 16_000, "wav.scp")["u"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e29])
def test_bad_samples_of_an_ark(bad):
    wav = np.array([0, bad], np.float32)
    with pytest.raises(AudioError, match="wav.ark: utterance u: its audio: "):
        CheckedAudio({"u": (16_000, wav)}, 16_000, "wav.ark")["u"]
