import pickle

import numpy as np
import pytest
import soundfile

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.audio import RATE, read_audio, write_audio
from espnet_robust.data.data_dir import write_data_dir
from espnet_robust.distortion import collection as module
from espnet_robust.distortion.collection import Collection, Recent, loop, open_collection, trim_rir


def test_groups_are_drawn_before_items(material):
    rirs = Collection(material / "rir")
    rng = np.random.default_rng(0)
    drawn = [rirs.draw_item(rng) for _ in range(600)]
    assert drawn.count("den-0") == pytest.approx(300, abs=60)  # one of two rooms, alone in it
    assert drawn.count("bath-0") == pytest.approx(150, abs=50)


def test_other_item_of_the_same_group(material):
    rirs = Collection(material / "rir")
    rng = np.random.default_rng(0)
    assert {rirs.draw_item(rng, "bath", exclude="bath-0") for _ in range(20)} == {"bath-1"}
    assert rirs.draw_item(rng, "den", exclude="den-0") == "den-0"


def test_long_items_are_read_in_part(material, monkeypatch):
    noise = Collection(material / "noise")
    reads = []
    monkeypatch.setattr(
        module, "read_audio", lambda entry, **kw: reads.append(kw) or read_audio(entry, **kw)
    )
    whole = read_audio(noise.wav["hum-0"])
    np.testing.assert_array_equal(noise.crop("hum-0", 4321, 1000), whole[4321:5321])
    assert reads == [{"start": 4321, "num_samples": 1000}]


def test_short_noise_is_looped_and_not_stretched(material):
    noise = Collection(material / "noise")
    whole = read_audio(noise.wav["hum-1"])
    crop = noise.crop("hum-1", 0, 3 * len(whole))
    assert len(crop) == 3 * len(whole)
    np.testing.assert_array_equal(crop[2000:15_000], whole[2000:15_000])


def test_loop_has_no_seam_and_no_dip():
    tone = np.sin(2 * np.pi * 100.37 * np.arange(RATE) / RATE).astype(np.float32)
    out = loop(tone, 5000, 4 * RATE)
    assert np.abs(np.diff(out)).max() < 1.6 * np.abs(np.diff(tone)).max()
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    levels = loop(noise, 0, 4 * RATE)[:63_000].reshape(-1, 500).std(axis=1)
    assert levels.min() > 0.8 and levels.max() < 1.2
    for length in (1, 2, 3, 5):
        assert len(loop(np.ones(length, np.float32), length - 1, 50)) == 50


def silent_then_loud(tmp_path):
    wav = np.zeros(20 * RATE, np.float32)
    wav[15 * RATE :] = 0.1 * np.random.default_rng(0).standard_normal(5 * RATE)
    write_audio(tmp_path / "n.flac", wav)
    return write_data_dir(tmp_path / "noise", {"wav.scp": {"n": str(tmp_path / "n.flac")}}).path


def test_silent_crops_are_drawn_again(tmp_path):
    noise = Collection(silent_then_loud(tmp_path))
    for seed in range(20):
        item, offset = noise.draw_crop(np.random.default_rng(seed), RATE)
        assert noise.crop(item, offset, RATE).any()


def test_all_silent_is_an_error(tmp_path):
    write_audio(tmp_path / "n.flac", np.zeros(RATE, np.float32))
    write_data_dir(tmp_path / "noise", {"wav.scp": {"n": str(tmp_path / "n.flac")}})
    with pytest.raises(AudioError, match=r"noise: 20 random crops were all silent"):
        Collection(tmp_path / "noise").draw_crop(np.random.default_rng(0), 100)
    with pytest.raises(AudioError, match="silent impulse response"):
        Collection(tmp_path / "noise").rir("n")


def test_no_items(tmp_path):
    (tmp_path / "wav.scp").write_text("")
    with pytest.raises(DataDirError, match="no utterances"):
        open_collection(tmp_path)


def test_item_without_group(material, tmp_path):
    (tmp_path / "wav.scp").write_text("a x\nb x\n")
    (tmp_path / "utt2group").write_text("a room\n")
    with pytest.raises(DataDirError, match="no group for 'b'"):
        Collection(tmp_path)


@pytest.mark.parametrize("time", ["abc", "0,4", "-1", "nan", "inf"])
def test_reverberation_times_that_are_none(tmp_path, time):
    (tmp_path / "wav.scp").write_text("a x\nb y\n")
    (tmp_path / "utt2rt60").write_text(f"a 0.4\nb {time}\n")
    rooms, rng = Collection(tmp_path), np.random.default_rng(0)
    assert rooms.draw_item(rng) in "ab"  # who asks for no RT60 does not need them
    with pytest.raises(DataDirError) as e:
        rooms.draw_near(rng, 0.4)
    assert str(e.value) == (
        f"{tmp_path}/utt2rt60:2: {time!r} is not a time in seconds, such as 0.4"
    )
    (tmp_path / "utt2rt60").unlink()
    with pytest.raises(DataDirError, match="no utt2rt60 in it; leave out rt60, or write the table"):
        Collection(tmp_path).draw_near(rng, 0.4)


def test_other_rates_are_resampled(tmp_path):
    t = np.arange(3 * 44_100) / 44_100
    soundfile.write(tmp_path / "n.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 44_100)
    write_data_dir(tmp_path / "noise", {"wav.scp": {"n": str(tmp_path / "n.wav")}})
    noise = Collection(tmp_path / "noise")
    assert noise.num_samples("n") == 3 * RATE
    crop = noise.crop("n", RATE, RATE)
    assert np.argmax(np.abs(np.fft.rfft(crop))) == 440


def test_direct_path_and_tail():
    rir = np.zeros(5000, np.float32)
    rir[[30, 31, 200]] = 0.3, 0.45, 0.5  # a reflection louder than the direct path
    taps, direct = trim_rir(rir)
    assert direct == 31
    assert len(taps) == 201
    assert taps[200] == 1.0


def test_recent_is_bounded():
    recent = Recent(100)
    for key in range(10):
        recent.get(key, lambda: np.zeros(30))
    assert len(recent._kept) == 3
    recent.get("big", lambda: np.zeros(500))
    assert list(recent._kept) == ["big"]
    recent.get(0, lambda: np.zeros(1))
    assert recent._samples == 1


def test_pickles(material):
    noise = Collection(material / "noise")
    noise.crop("wind-0", 0, 100)
    again = pickle.loads(pickle.dumps(noise))
    np.testing.assert_array_equal(again.crop("wind-0", 0, 100), noise.crop("wind-0", 0, 100))
