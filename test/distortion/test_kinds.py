"""The physics of each kind, and the contract that all of them keep."""

import json
import shutil

import numpy as np
import pytest
from scipy.signal import periodogram, welch

from espnet_robust.common.errors import ConfigError, DataDirError
from espnet_robust.data.audio import RATE, read_audio, write_audio
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.distortion import load_distortion
from espnet_robust.distortion.additive import Babble, Coloured, Noise, White, coloured_noise
from espnet_robust.distortion.band import BandLimit, BandReject
from espnet_robust.distortion.base import Context, Numbers
from espnet_robust.distortion.codec import CODECS, Codec
from espnet_robust.distortion.collection import forget
from espnet_robust.distortion.kinds import KINDS
from espnet_robust.distortion.level import power, speech_power
from espnet_robust.distortion.room import Rir
from espnet_robust.distortion.simple import Clip, Gain
from espnet_robust.distortion.timescale import Pitch, Speed, stretch

needs_sox = pytest.mark.skipif(shutil.which("sox") is None, reason="sox is not installed")


def db(ratio):
    return 10 * np.log10(ratio)


def white(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def response_db(out, wav, nperseg=2048):
    """Hz and the change of the spectrum in dB."""
    hz, after = welch(out, RATE, nperseg=nperseg, window="blackmanharris")
    _, before = welch(wav, RATE, nperseg=nperseg, window="blackmanharris")
    return hz, db(after / before)


def harmonics(f0, seconds=4.0):
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * sum(np.sin(2 * np.pi * k * f0 * t + k) for k in (1, 2, 3))).astype(np.float32)


def pitch_of(wav, near):
    """Frequency of the strongest partial within 6 % of ``near``, Hz."""
    middle = wav[RATE // 2 : -RATE // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 20))
    hz = np.fft.rfftfreq(1 << 20, 1 / RATE)
    spectrum[np.abs(hz / near - 1) > 0.06] = 0
    return hz[np.argmax(spectrum)]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_contract(speech, steps, name):
    if name.startswith("sox"):
        pytest.importorskip("sox")
        if shutil.which("sox") is None:
            pytest.skip("sox is not installed")
    distorter = load_distortion({"chain": [steps[name]]})
    before = speech.copy()
    for utt in ("a", "b", "c"):
        out, record = distorter(speech, utt, seed=0)
        assert out.dtype == np.float32 and out.shape == speech.shape
        distorter.check_keeps_length("it")
        assert np.isfinite(out).all() and np.abs(out).max() <= 1.0
        assert out is not speech and not np.shares_memory(out, speech)
        record = json.loads(json.dumps(record))
        np.testing.assert_array_equal(distorter.apply(speech, record), out)
        assert record["domain"] in distorter.kinds
        if name != "clean":
            assert not np.array_equal(out, speech)
    np.testing.assert_array_equal(speech, before)


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"sox_reverb", "sox_pitch", "sox_sinc"}))
@pytest.mark.parametrize("num_samples", [1, 2, 100, 3333])
def test_short_and_silent_signals(steps, name, num_samples):
    distorter = load_distortion({"chain": [steps[name]]})
    for wav in (np.zeros(num_samples, np.float32), np.full(num_samples, 0.9, np.float32)):
        out, _ = distorter(wav, "a", seed=0)
        assert out.shape == wav.shape and np.isfinite(out).all()


@pytest.mark.parametrize("level", ["active", "whole"])
@pytest.mark.parametrize("snr_db", [0.0, 5.0, 20.0])
@pytest.mark.parametrize("name", ["noise", "white", "coloured", "babble"])
def test_additive_snr(speech, steps, name, snr_db, level):
    step = steps[name] | {"snr_db": snr_db, "level": level}
    distorter = load_distortion({"chain": [step]})
    for utt in ("a", "b"):
        quiet = speech / 4  # so that nothing is turned down
        out, _ = distorter(quiet, utt, seed=1)
        assert db(speech_power(quiet, level) / power(out - quiet)) == pytest.approx(
            snr_db, abs=0.05
        )


def test_several_noises_at_once(speech, material):
    noise = Noise(noise=str(material / "noise"), count=Noise.__dataclass_fields__["count"].default)
    assert len(noise.draw(np.random.default_rng(0), Context(RATE))["crops"]) == 1
    one = [["hum-0", 0]]
    two = [["hum-0", 0], ["wind-0", 0]]
    a, b = (
        Noise.apply(speech, snr_db=10, level="whole", noise=noise.noise, crops=crops) - speech
        for crops in (one, two)
    )
    assert db(power(a) / power(b)) == pytest.approx(0, abs=0.01)
    correlation = np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b))
    assert correlation == pytest.approx(0.5**0.5, abs=0.05)  # half of the power each


def test_babble_leaves_the_utterance_itself_out(material):
    babble = Babble(speech=str(material / "voices"))
    for seed in range(50):
        drawn = babble.draw(np.random.default_rng(seed), Context(RATE, utt_id="spk1-0"))
        assert 3 <= len(drawn["crops"]) <= 6
        assert "spk1-0" not in [utt for utt, _ in drawn["crops"]]


@pytest.mark.parametrize(("exponent", "slope"), [(0, 0), (1, -3.01), (2, -6.02), (-1, 3.01)])
def test_colours_have_their_slope(exponent, slope):
    noise = coloured_noise(40 * RATE, exponent, seed=1)
    hz, spectrum = welch(noise, RATE, nperseg=8192)
    inside = (hz > 50) & (hz < 7000)
    fit, _ = np.polyfit(np.log2(hz[inside]), db(spectrum[inside]), 1)
    assert fit == pytest.approx(slope, abs=0.2)


def test_white_is_white_and_gaussian():
    noise = White.apply(white(20), snr_db=0, level="whole", seed=5) - white(20)
    _, spectrum = welch(noise, RATE, nperseg=256)
    assert np.ptp(db(spectrum[2:-2])) < 1.5
    assert np.mean((noise / noise.std()) ** 4) == pytest.approx(3, abs=0.1)


def rir_dir(tmp_path, *responses):
    table = {}
    for i, rir in enumerate(responses):
        table[f"r{i}"] = str(tmp_path / f"r{i}.wav")
        write_audio(table[f"r{i}"], np.asarray(rir, np.float32))
    return str(write_data_dir(tmp_path / "rir", {"wav.scp": table}).path)


@pytest.mark.parametrize("delay", [0, 25, 4000])
def test_unit_impulse_is_identity(tmp_path, speech, delay):
    rir = np.zeros(5000)
    rir[delay] = 0.7
    out = Rir.apply(speech, rir=rir_dir(tmp_path, rir), item="r0", level="whole")
    assert np.abs(out - speech).max() < 1e-6


@pytest.mark.parametrize("level", ["whole", "active"])
@pytest.mark.parametrize("item", ["bath-0", "bath-1", "den-0"])
@pytest.mark.parametrize("num_samples", [2000, 64_000])  # the RIR is longer than the first
def test_reverberation_keeps_level_and_time(speech, material, item, level, num_samples):
    wav = speech[-num_samples:] / 4
    out = Rir.apply(wav, rir=str(material / "rir"), item=item, level=level)
    assert db(speech_power(out, level) / speech_power(wav, level)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("item", ["bath-0", "bath-1", "den-0"])
def test_direct_path_stays_in_time(material, item):
    wav = white(4)
    out = Rir.apply(wav, rir=str(material / "rir"), item=item, level="whole")
    lags = np.fft.irfft(np.fft.rfft(out, 1 << 17) * np.conj(np.fft.rfft(wav, 1 << 17)))
    assert np.argmax(lags) == 0


def test_noise_through_a_response_of_the_same_room(speech, material):
    rir = Rir(rir=str(material / "rir"), noise=str(material / "noise"))
    assert rir.domain() == ("noise", "reverb")
    for seed in range(20):
        drawn = rir.draw(np.random.default_rng(seed), Context(len(speech)))
        assert drawn["item"].split("-")[0] == drawn["noise_item"].split("-")[0]
        assert drawn["item"] != drawn["noise_item"] or drawn["item"] == "den-0"
    dry = {key: drawn[key] for key in ("rir", "item", "level")}
    noisy, reverberant = Rir.apply(speech, **drawn), Rir.apply(speech, **dry)
    snr = db(power(reverberant) / power(noisy - reverberant))
    assert snr == pytest.approx(drawn["snr_db"], abs=0.05)


def test_rooms_near_a_reverberation_time(tmp_path, material):
    rooms = dict(read_data_dir(material / "rir").tables)
    items = {f"room-{n}": entry for n, entry in enumerate([*rooms["wav.scp"].values()] * 3)}
    times = {item: f"{0.2 + 0.1 * n:.1f}" for n, item in enumerate(items)}
    write_data_dir(tmp_path / "rooms", {"wav.scp": items, "utt2rt60": times})
    rir = Rir(rir=str(tmp_path / "rooms"), rt60=Numbers(0.05, 10).parse(0.75))
    drawn = {rir.draw(np.random.default_rng(s), Context(100))["item"] for s in range(60)}
    assert sorted(times[item] for item in drawn) == ["0.6", "0.7", "0.8", "0.9"]
    write_data_dir(tmp_path / "unknown", {"wav.scp": items})
    with pytest.raises(DataDirError, match="rt60 asked for, and no utt2rt60 in it"):
        Rir(rir=str(tmp_path / "unknown"), rt60=rir.rt60).draw(np.random.default_rng(0), Context(9))
    (tmp_path / "rooms/utt2rt60").write_text("room-0 0.2\n")
    forget()
    with pytest.raises(DataDirError, match="utt2rt60: no RT60 for 'room-1'"):
        Rir(rir=str(tmp_path / "rooms"), rt60=rir.rt60).draw(np.random.default_rng(0), Context(9))


@pytest.mark.parametrize(("low", "high"), [(100, 250), (1000, 1500), (3000, 5000), (6500, 7900)])
def test_band_reject(low, high):
    wav = white(30)
    hz, change = response_db(BandReject.apply(wav, low_hz=low, high_hz=high), wav)
    bin_hz = hz[1] * 2  # the window's own width
    inside = (hz >= low + bin_hz) & (hz <= high - bin_hz)
    outside = (hz <= low - 60 - bin_hz) | (hz >= high + 60 + bin_hz)
    assert change[inside].max() < -40
    assert np.abs(change[outside & (hz > 20)]).max() < 1


def test_band_is_drawn_on_the_mel_scale():
    kind = BandReject()
    for seed in range(200):
        drawn = kind.draw(np.random.default_rng(seed), Context(1))
        assert 30 < drawn["low_hz"] < drawn["high_hz"] <= 8000
    fixed = {"name": "band_reject", "centre_hz": 1000, "width_mel": 300}
    record = load_distortion({"chain": [fixed]}).draw(np.random.default_rng(0), 1)
    low, high = (record["steps"][0][key] for key in ("low_hz", "high_hz"))
    assert low < 1000 < high and high - low == pytest.approx(455, abs=5)


def test_telephone_band():
    wav = white(30)
    hz, change = response_db(BandLimit.apply(wav, low_hz=300, high_hz=3400), wav)
    assert np.abs(change[(hz > 380) & (hz < 3320)]).max() < 1
    assert change[((hz > 20) & (hz < 240)) | (hz > 3460)].max() < -40


def test_filters_keep_time():
    click = np.zeros(4000, np.float32)
    click[2000] = 1
    for out in (
        BandReject.apply(click, low_hz=1000, high_hz=1200),
        BandLimit.apply(click, low_hz=300, high_hz=3400),
    ):
        assert np.argmax(np.abs(out)) == 2000


@pytest.mark.parametrize("cents", [-1200, -500, -37, 3, 200, 500, 1200])
@pytest.mark.parametrize("f0", [110.0, 213.7, 1000.0])
def test_pitch_moves_by_the_cents_asked_for(f0, cents):
    wav = harmonics(f0)
    out = Pitch.apply(wav, cents=cents)
    want = f0 * 2 ** (cents / 1200)
    assert 1200 * np.log2(pitch_of(out, want) / want) == pytest.approx(0, abs=5)
    assert db(power(out) / power(wav)) == pytest.approx(0, abs=0.5)


def test_pitch_keeps_time(speech):
    for cents in (-400, 400):
        out = Pitch.apply(speech, cents=cents)
        envelopes = [np.abs(x).reshape(-1, 160).mean(axis=1) for x in (speech, out)]
        centred = [e - e.mean() for e in envelopes]
        lags = np.correlate(*centred, "full")
        assert abs(int(np.argmax(lags)) - len(centred[0]) + 1) <= 1  # 10 ms
        assert np.corrcoef(*envelopes)[0, 1] > 0.9


@pytest.mark.parametrize("cents", [-500, -300, 300, 500])
def test_pitch_moves_no_sound(cents):
    """Teacher and student must hear a sound in the same frame, of 20 ms."""
    time = np.arange(4 * RATE)

    def middle(wav):
        return np.average(time, weights=wav.astype(float) ** 2)

    bursts = [harmonics(120, 4) * (np.abs(time - at) < 1600) for at in range(8000, 56000, 6000)]
    moved = [middle(Pitch.apply(wav, cents=cents)) - middle(wav) for wav in bursts]
    assert abs(np.mean(moved)) < 0.002 * RATE


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_tempo_puts_sounds_where_they_belong(factor):
    time = np.arange(4 * RATE)
    wav = harmonics(120, 4) * (np.abs(time - 31111) < RATE // 10)
    out = Speed.apply(wav, factor, "keep", "map")
    middles = [np.average(np.arange(len(x)), weights=x.astype(float) ** 2) for x in (wav, out)]
    assert abs(middles[1] - middles[0] / factor) < 0.002 * RATE


def test_pitch_goes_on_after_silence():
    wav = np.concatenate(
        [np.zeros(RATE, np.float32), harmonics(200, 2), np.zeros(RATE, np.float32)]
    )
    for cents in (-300, 300):
        out = Pitch.apply(wav, cents=cents)
        assert db(power(out) / power(wav)) == pytest.approx(0, abs=0.5)
        assert np.abs(out[: RATE - 1500]).max() < 1e-3


def test_stretch_changes_time_and_not_pitch():
    for ratio in (0.6, 1.0, 1.7):
        wav = harmonics(200.0)
        out = stretch(wav, ratio)
        assert len(out) == round(len(wav) * ratio)
        assert pitch_of(out, 200) == pytest.approx(200, rel=0.001)


def test_speed(speech):
    wav = harmonics(200.0)
    tape = Speed.apply(wav, factor=1.25, pitch="follow", length="map")
    assert len(tape) == len(wav) / 1.25 == Speed.num_samples_out(len(wav), 1.25, "follow", "map")
    assert pitch_of(tape, 250) == pytest.approx(250, rel=0.001)
    tempo = Speed.apply(wav, factor=1.25, pitch="keep", length="map")
    assert len(tempo) == len(tape) and pitch_of(tempo, 200) == pytest.approx(200, rel=0.001)
    # What got shorter ends in silence, never in the undistorted signal.
    kept = Speed.apply(speech, factor=1.25, pitch="follow", length="keep")
    assert len(kept) == len(speech)
    assert kept[round(0.75 * len(speech)) : round(0.79 * len(speech))].any()
    assert not kept[round(0.8 * len(speech)) + 2 :].any()


def test_mapped_length_reaches_the_steps_after_it(speech, steps):
    speed = {"name": "speed", "factor": 0.5, "length": "map"}
    distorter = load_distortion({"chain": [speed, steps["noise"] | {"snr_db": 0}]})
    out, record = distorter(speech, "a", seed=0)
    assert len(out) == 2 * len(speech) == distorter.num_samples_out(len(speech), record)


def test_what_may_change_the_length_is_named():
    tempo = {"name": "speed", "length": "map"}
    for chain in (
        [{"name": "white", "snr_db": 10}, "speed", tempo | {"prob": 0}],
        [{"one_of": ["clean", tempo | {"weight": 0}]}],
    ):
        load_distortion({"chain": chain}).check_keeps_length("it")
    for chain in ([tempo], [{"one_of": ["clean", {"sequence": ["clean", tempo], "prob": 0.1}]}]):
        with pytest.raises(ConfigError, match="speed changes .*, so it no longer fit; write"):
            load_distortion({"chain": chain}).check_keeps_length("it")


def test_clip():
    wav = harmonics(200)
    np.testing.assert_array_equal(Clip.apply(wav, overdrive_db=0), wav)
    out = Clip.apply(wav, overdrive_db=6.0206)
    assert np.abs(out).max() == pytest.approx(np.abs(wav).max() / 2, rel=1e-4)
    below = np.abs(wav) < np.abs(out).max()
    np.testing.assert_array_equal(out[below], wav[below])


def test_gain():
    wav = white(0.1)
    assert db(power(Gain.apply(wav, gain_db=-13.0)) / power(wav)) == pytest.approx(-13, abs=1e-3)


@pytest.mark.parametrize("loss", [0.05, 0.3, 0.6])
@pytest.mark.parametrize("burst", [1, 5])
def test_dropout_loses_what_was_asked_for(loss, burst):
    step = {"name": "dropout", "loss": loss, "burst": burst, "packet_ms": 20}
    distorter = load_distortion({"chain": [step]})
    wav = np.ones(600 * RATE, np.float32)
    out, record = distorter(wav, "a", seed=0)
    assert np.mean(out == 0) == pytest.approx(loss, rel=0.15)
    runs = [length / 320 for _, length in record["steps"][0]["spans"]]
    if loss < 1 / 2:
        assert np.mean(runs) == pytest.approx(burst, rel=0.15)
    assert load_distortion({"chain": [{"name": "dropout", "loss": 0}]})(wav, "a", seed=0)[0].all()


def test_dropout_of_high_losses_that_round_badly():
    """With gaps of one packet, ``burst * (1 - loss) / loss`` may be 1 - 1e-16."""
    for loss in (0.668, 0.671, 0.706, 0.815, 0.821):
        distorter = load_distortion({"chain": [{"name": "dropout", "loss": loss, "burst": 1}]})
        out, _ = distorter(np.ones(60 * RATE, np.float32), "a", seed=0)
        assert np.mean(out == 0) == pytest.approx(loss, abs=0.05)


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_codecs_keep_time_and_level(speech, codec):
    quality = 0.1 if CODECS[codec].has_quality else None
    out = Codec.apply(speech, codec=codec, quality=quality)
    lags = np.fft.irfft(np.fft.rfft(out, 1 << 17) * np.conj(np.fft.rfft(speech, 1 << 17)))
    lag = int(np.argmax(lags))
    assert min(lag, (1 << 17) - lag) <= 2
    assert db(power(out) / power(speech)) == pytest.approx(0, abs=2)
    assert 0 < power(out - speech) < power(speech)


def test_codec_survives_what_exceeds_full_scale(speech):
    out = Codec.apply(4 * speech, codec="mulaw")
    assert db(power(out) / power(speech)) == pytest.approx(12, abs=1)


# Parity with sox. Figures: conf/distortion/RESULTS.md.


@needs_sox
def test_sox_sinc_and_ours_take_out_the_same_band():
    wav = white(20)
    low, high = 1000, 1600
    ours = BandReject.apply(wav, low_hz=low, high_hz=high)
    theirs = KINDS["sox_sinc"].apply(wav, low_hz=low, high_hz=high)
    hz, difference = response_db(ours, theirs)
    outside = (hz < low - 150) | (hz > high + 150)
    assert np.abs(difference[outside & (hz > 20)]).max() < 0.1
    inside = (hz > low + 150) & (hz < high - 150)
    assert response_db(theirs, wav)[1][inside].max() < -40


@needs_sox
@pytest.mark.parametrize("cents", [-500, 300])
def test_sox_pitch_and_ours_agree(cents):
    wav = harmonics(150.0)
    want = 150 * 2 ** (cents / 1200)
    ours = pitch_of(Pitch.apply(wav, cents=cents), want)
    theirs = pitch_of(KINDS["sox_pitch"].apply(wav, cents=cents), want)
    assert 1200 * np.log2(ours / theirs) == pytest.approx(0, abs=10)


@needs_sox
def test_convolving_sox_reverbs_own_response_is_sox_reverb(tmp_path, speech):
    settings = {"reverberance": 50, "hf_damping": 50, "room_scale": 50}
    click = np.zeros(3 * RATE, np.float32)
    click[0] = 0.5
    rir = rir_dir(tmp_path, KINDS["sox_reverb"].apply(click, **settings))
    ours = Rir.apply(speech, rir=rir, item="r0", level="whole")
    theirs = KINDS["sox_reverb"].apply(speech, **settings)
    theirs *= np.float32(np.sqrt(power(ours) / power(theirs)))
    _, difference = response_db(ours, theirs)
    assert np.abs(difference[5:900]).max() < 0.5
    assert db(power(ours - theirs) / power(ours)) < -30


@needs_sox
def test_sox_does_not_clip_loud_input(speech):
    loud = KINDS["sox_pitch"].apply(3 * speech, cents=100)
    np.testing.assert_allclose(loud, 3 * KINDS["sox_pitch"].apply(speech, cents=100), atol=1e-4)


def test_coloured_reads_its_exponent(speech):
    drawn = Coloured().draw(np.random.default_rng(0), Context(10))
    assert drawn["exponent"] in (1, 2, -1)
    hz, before = periodogram(speech, RATE)
    noisy = Coloured.apply(speech, snr_db=-20, level="whole", exponent=2, seed=3)
    _, after = periodogram(noisy - speech, RATE)
    assert after[hz < 100].sum() > 10 * after[hz > 1000].sum()
    assert before.shape == after.shape


def test_noise_dir_entries_survive_in_the_record(material, speech):
    distorter = load_distortion({"chain": [{"name": "noise", "noise": str(material / "noise")}]})
    _, record = distorter(speech, "utt", seed=4)
    (item, offset), *rest = record["steps"][0]["crops"]
    entry = str(material / "noise_audio" / f"{item}.flac")
    assert not rest and 0 <= offset < len(read_audio(entry))
