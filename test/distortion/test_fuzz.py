"""Corrupted input, generated: never a crash, a NaN or an utterance lost without a word."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espnet_robust.common.errors import UserError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distortion import load_distortion
from espnet_robust.distortion.copies import distort_data_dir

FUZZ = {
    "max_examples": 250,
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}

finite = st.floats(-2, 2, width=32)
any_float = st.floats(width=32, allow_nan=True, allow_infinity=True)


@st.composite
def audio_bytes(draw):
    """An audio file that is valid, of odd shape, holds odd samples, is cut short or overwritten."""
    channels = draw(st.sampled_from([1, 1, 1, 2]))
    rate = draw(st.sampled_from([16000, 16000, 8000, 44100, 11025]))
    subtype = draw(st.sampled_from(["PCM_16", "PCM_16", "FLOAT", "DOUBLE", "PCM_U8"]))
    num_samples = draw(st.sampled_from([0, 1, 2, 63, 400, 16000]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    wav = 0.3 * rng.standard_normal((num_samples, channels)) * draw(st.sampled_from([0, 1, 50]))
    if num_samples and subtype in ("FLOAT", "DOUBLE"):
        for value in draw(st.lists(any_float, max_size=2)):
            wav[rng.integers(num_samples)] = value
    format = "FLAC" if subtype == "PCM_16" and draw(st.booleans()) else "WAV"
    if format == "FLAC" and not num_samples:
        format = "WAV"
    buffer = io.BytesIO()
    soundfile.write(buffer, wav, rate, format=format, subtype=subtype)
    data = bytearray(buffer.getvalue())
    damage = draw(st.sampled_from(["none", "none", "cut", "overwrite", "insert"]))
    if damage == "cut":
        data = data[: draw(st.integers(0, len(data)))]
    elif damage == "overwrite":
        for _ in range(draw(st.integers(1, 8))):
            data[draw(st.integers(0, min(len(data) - 1, 200)))] = draw(st.integers(0, 255))
    elif damage == "insert":
        at = draw(st.integers(0, len(data)))
        data[at:at] = draw(st.binary(max_size=20))
    return bytes(data)


@settings(**FUZZ)
@given(corrupt=audio_bytes())
def test_corrupt_audio_in_a_data_dir(tmp_path_factory, material, corrupt):
    root = tmp_path_factory.mktemp("fuzz")
    good = next(iter(read_data_dir(material / "voices").wav.values()))
    (root / "bad.wav").write_bytes(corrupt)
    (root / "src").mkdir()
    (root / "src" / "wav.scp").write_text(f"a {good}\nb {root / 'bad.wav'}\nc {good}\n")
    noise = {"name": "noise", "noise": str(material / "noise")}
    config = {"chain": [noise, {"name": "rir", "rir": str(material / "rir")}]}
    try:
        distort_data_dir(root / "src", root / "dst", config, seed=0)
    except UserError as e:
        assert "bad.wav" in str(e) or "utterance b" in str(e)
        assert "\n" not in str(e)
        assert not (root / "dst").exists()
    else:
        copy = read_data_dir(root / "dst")
        assert copy.ids == ["a", "b", "c"]
        for entry in copy.wav.values():
            assert np.isfinite(read_audio(entry)).all()


@settings(**FUZZ | {"max_examples": 100})
@given(corrupt=audio_bytes())
def test_corrupt_noise(tmp_path_factory, corrupt, speech):
    root = tmp_path_factory.mktemp("fuzz")
    (root / "bad.wav").write_bytes(corrupt)
    (root / "wav.scp").write_text(f"n {root / 'bad.wav'}\n")
    for step in ({"name": "noise", "noise": str(root)}, {"name": "rir", "rir": str(root)}):
        distorter = load_distortion({"chain": [step]})
        try:
            out, _ = distorter(speech[:8000], "a", seed=0)
        except UserError as e:
            assert str(root) in str(e)
        else:
            assert np.isfinite(out).all() and out.shape == (8000,)


@settings(**FUZZ)
@given(
    samples=st.lists(any_float, min_size=1, max_size=40),
    repeat=st.sampled_from([1, 50, 1000]),
    utt=st.text(max_size=8),
)
def test_any_samples(samples, repeat, utt, steps):
    wav = np.tile(np.array(samples, np.float32), repeat)
    chain = [steps[n] for n in ("white", "rir", "band_reject", "clip", "dropout", "noise")]
    distorter = load_distortion({"chain": [*chain, {"one_of": ["pitch", "speed"]}]})
    with np.errstate(all="ignore"):
        try:
            out, _ = distorter(wav, utt, seed=0)
        except UserError as e:
            assert "NaN or infinite" in str(e)
            assert not np.isfinite(wav).all() or np.abs(wav).max() > 1e15
        else:
            assert np.isfinite(out).all() and out.shape == wav.shape


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 100), st.floats(), st.text(max_size=6),
    st.sampled_from(["clean", "white", "clip", "pitch", "name", "one_of"]),
)  # fmt: skip
keys = st.sampled_from(
    ["name", "one_of", "sequence", "chain", "prob", "weight", "label", "snr_db", "cents", "codec"]
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@settings(**FUZZ)
@given(given_=trees, inside=st.booleans())
def test_any_config(given_, inside):
    config = {"chain": [given_]} if inside or not isinstance(given_, dict) else given_
    try:
        distorter = load_distortion(config)
    except UserError:
        return
    out, record = distorter(np.ones(400, np.float32) / 2, "a", seed=0)
    assert np.isfinite(out).all() and record["domain"] in distorter.kinds


@settings(**FUZZ)
@given(lines=st.lists(st.binary(max_size=12), max_size=6))
def test_any_wav_scp(tmp_path_factory, lines):
    root = tmp_path_factory.mktemp("scp")
    (root / "wav.scp").write_bytes(b"\n".join(lines))
    try:
        data = read_data_dir(root)
    except UserError as e:
        assert str(root) in str(e)
    else:
        content = (root / "wav.scp").read_bytes()
        assert len(data.wav) == len(content.splitlines()) or b"\r" in content


def test_extreme_levels_stay_finite(steps):
    with np.errstate(over="ignore"):
        for scale in (1e-30, 1e-12, 1.0, 1e6):
            wav = np.full(5000, scale, np.float32) * np.float32(0.7)
            for name in ("noise", "white", "rir", "band_reject", "clip", "pitch"):
                out, _ = load_distortion({"chain": [steps[name]]})(wav, "a", seed=0)
                assert np.isfinite(out).all() and np.abs(out).max() <= 1.0


@pytest.mark.parametrize("name", ["codec", "speed", "gain", "babble"])
def test_huge_but_finite_samples(steps, name):
    out, _ = load_distortion({"chain": [steps[name]]})(np.full(500, 1e9, np.float32), "a", seed=0)
    assert np.isfinite(out).all()
