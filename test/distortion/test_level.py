import numpy as np
import pytest

from espnet_robust.data.audio import RATE
from espnet_robust.distortion.level import active_power, energy, mix, power, speech_power


def db(ratio):
    return 10 * np.log10(ratio)


def p56_by_the_sample(wav):
    """ITU-T P.56 method B as written: envelope, counters and thresholds sample by sample."""
    g, hangover, margin = np.exp(-1 / (RATE * 0.03)), round(0.2 * RATE), 15.9
    thresholds = 2.0 ** -np.arange(15, 0, -1)
    p = q = 0.0
    active = np.zeros(15, int)
    hang = np.full(15, hangover)
    for x in np.abs(wav):
        p = g * p + (1 - g) * x
        q = g * q + (1 - g) * p
        over = q >= thresholds
        hang = np.where(over, 0, hang + 1)
        active += over | (hang <= hangover)
    total = float(np.sum(wav.astype(np.float64) ** 2))
    levels = db(total / np.maximum(active, 1))
    distances = levels - 20 * np.log10(thresholds)
    i = int(np.flatnonzero((distances >= margin) & (active > 0))[-1])
    part = (margin - distances[i]) / (distances[i + 1] - distances[i])
    return levels[i] + part * (levels[i + 1] - levels[i])


def test_active_level_agrees_with_p56(speech):
    assert db(active_power(speech)) == pytest.approx(p56_by_the_sample(speech), abs=0.1)


def test_pauses_do_not_count():
    rng = np.random.default_rng(0)
    burst = 0.1 * rng.standard_normal(2 * RATE).astype(np.float32)
    silence = np.zeros(2 * RATE, np.float32)
    wav = np.concatenate([burst, silence, silence, burst])
    assert db(power(wav)) == pytest.approx(-23, abs=0.1)
    assert db(active_power(wav)) == pytest.approx(-20.3, abs=0.25)  # 0.2 s of hangover, twice
    assert active_power(burst) == pytest.approx(power(burst), rel=0.02)


def test_silence_and_short_signals():
    assert active_power(np.zeros(RATE, np.float32)) == 0.0
    assert active_power(np.ones(10, np.float32)) == 1.0


def test_energy_is_exact(speech):
    for part in (speech, speech[:5000], speech[:7], speech[:1024]):
        assert energy(part) == pytest.approx(np.sum(part.astype(np.float64) ** 2), rel=1e-6)


@pytest.mark.parametrize("meter", ["active", "whole"])
@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 7.5, 20.0, 40.0])
def test_mix_has_the_snr_asked_for(speech, meter, snr_db):
    noise = 3 * np.random.default_rng(1).standard_normal(len(speech)).astype(np.float32)
    noisy = mix(speech, noise, snr_db, meter)
    got = db(speech_power(speech, meter) / power(noisy - speech))
    assert got == pytest.approx(snr_db, abs=0.05)


def test_silent_speech_stays_silent():
    noise = np.ones(100, np.float32)
    assert not mix(np.zeros(100, np.float32), noise, 10, "whole").any()
