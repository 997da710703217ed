#!/usr/bin/env python3
"""Check the distortion engine against its specification and sox; print a Markdown table.

    OMP_NUM_THREADS=1 python tools/measure_distortion.py [--noise DIR --rir DIR --speech DIR]

Without data dirs it generates its own material. If the data dir of rooms has ``utt2rt60_requested``
(as `prepare_corpus mini_rooms` writes it), it also measures the RT60 of every response.
"""

import argparse
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from benchmark_distortion import make_material, utterances
from scipy.ndimage import maximum_filter1d
from scipy.signal import lfilter, welch

from espnet_robust.corpora.mini_rooms import measure_rt60
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distortion import load_distortion, rng_for
from espnet_robust.distortion.band import BandReject
from espnet_robust.distortion.convolution import Filter
from espnet_robust.distortion.level import active_power, power, speech_power
from espnet_robust.distortion.room import reverberate
from espnet_robust.distortion.sox_effects import SoxPitch, SoxReverb, SoxSinc
from espnet_robust.distortion.timescale import Pitch

Row = tuple[str, str, str]  # what, measured, wanted


def db(ratio: float | np.ndarray) -> float | np.ndarray:
    return 10 * np.log10(ratio)


def spectrum_db(wav: np.ndarray, bins: int = 2048) -> tuple[np.ndarray, np.ndarray]:
    hz, density = welch(wav, RATE, nperseg=bins, window="blackmanharris")
    return hz, db(density + 1e-20)


def bands_db(wav: np.ndarray) -> np.ndarray:
    """Levels in third octaves from 125 Hz to 6.3 kHz."""
    hz, density = welch(wav, RATE, nperseg=2048)
    edges = 125 * 2 ** ((np.arange(19) - 0.5) / 3)
    inside = ((hz >= low) & (hz < high) for low, high in pairwise(edges))
    return db(np.array([density[band].sum() for band in inside]))


def harmonics(f0: float, seconds: float = 5.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * sum(np.sin(2 * np.pi * k * f0 * t + k) for k in (1, 2, 3))).astype(np.float32)


def cents_off(wav: np.ndarray, want: float) -> float:
    """Distance of the partial next to ``want`` Hz from it, cents."""
    middle = wav[RATE // 2 : -RATE // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 21))
    hz = np.fft.rfftfreq(1 << 21, 1 / RATE)
    spectrum[np.abs(hz / want - 1) > 0.06] = 0
    return 1200 * np.log2(hz[np.argmax(spectrum)] / want)


def p56_db(wav: np.ndarray) -> float:
    """Active speech level by ITU-T P.56 as written: by the sample, thresholds from -90 dB up, the
    answer interpolated between two of them."""
    g = np.exp(-1 / (0.03 * RATE))
    envelope = np.abs(wav).astype(np.float64)
    for _ in range(2):
        envelope = lfilter([1 - g], [1, -g], envelope)
    held = maximum_filter1d(envelope, RATE // 5, origin=RATE // 10 - 1, mode="constant")
    thresholds = 2.0 ** -np.arange(15, 0, -1)
    active = (held[:, None] >= thresholds).sum(axis=0)
    energy = np.sum(np.square(wav, dtype=np.float64))
    levels = db(energy / active[active > 0])
    margins = levels - 20 * np.log10(thresholds[active > 0])
    i = int(np.flatnonzero(margins >= 15.9)[-1])
    part = (margins[i] - 15.9) / (margins[i] - margins[i + 1])
    return float(levels[i] + part * (levels[i + 1] - levels[i]))


def meter(wavs: list[np.ndarray]) -> Iterator[Row]:
    off = [db(active_power(wav)) - p56_db(wav) for wav in wavs]
    what = f"active level against ITU-T P.56 by the sample; {len(wavs)} utterances"
    yield what, f"{np.abs(off).max():.3f} dB off at most", "0.1 dB"


def snr(wavs: list[np.ndarray], noise: str, speech: str, seed: int, number: int) -> Iterator[Row]:
    kinds = [{"name": "noise", "noise": noise}, "white", "coloured"]
    kinds.append({"name": "babble", "speech": speech})
    for meter in ("active", "whole"):
        worst = 0.0
        for given in kinds:
            step = ({"name": given} if isinstance(given, str) else given) | {"level": meter}
            distorter = load_distortion({"snr_db": [-5, 30], "chain": [step]})
            for i in range(number):
                wav = wavs[i % len(wavs)] / 8  # nothing is turned down
                out, record = distorter(wav, f"utt{i}", seed=seed)
                got = db(speech_power(wav, meter) / power(out - wav))
                worst = max(worst, abs(got - record["steps"][0]["snr_db"]))
        what = f"SNR of noise, white, coloured, babble; {meter}; {4 * number} draws"
        yield what, f"{worst:.0e} dB off", "0.05 dB"


def rooms(wavs: list[np.ndarray], rir: str, seed: int, number: int) -> Iterator[Row]:
    impulse = Filter(np.ones(1, np.float32))
    worst = max(np.abs(reverberate(wav, impulse, 0, "whole") - wav).max() for wav in wavs)
    yield "unit impulse as RIR", f"{worst:.1e} off", "1e-6"
    for meter in ("whole", "active"):
        distorter = load_distortion({"chain": [{"name": "rir", "rir": rir, "level": meter}]})
        worst = 0.0
        for i in range(number):
            wav = wavs[i % len(wavs)] / 8
            out, _ = distorter(wav, f"utt{i}", seed=seed)
            worst = max(worst, abs(db(speech_power(out, meter) / speech_power(wav, meter))))
        what = f"level after reverberation; {meter}; {number} draws"
        yield what, f"{worst:.0e} dB off", "0.1 dB"
    data = read_data_dir(rir)
    if requested := data.tables.get("utt2rt60_requested"):
        off = [measure_rt60(read_audio(data.wav[i])) / float(requested[i]) - 1 for i in requested]
        what = f"RT60 of {len(off)} simulated responses"
        yield what, f"{100 * np.abs(off).max():.1f} % off at most", "20 %"


def bands(seed: int, number: int) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    wav = (0.1 * rng.standard_normal(30 * RATE)).astype(np.float32)
    hz, before = spectrum_db(wav)
    kept, rejected = 0.0, -np.inf
    for i in range(number):
        drawn = load_distortion({"chain": ["band_reject"]}).draw(rng_for(seed, str(i)), 1)
        low, high = (drawn["steps"][0][key] for key in ("low_hz", "high_hz"))
        change = spectrum_db(BandReject.apply(wav, low_hz=low, high_hz=high))[1] - before
        inside = (hz > low + 16) & (hz < high - 16)  # 16 Hz: the lobe of the analysis window
        outside = (hz > 20) & ((hz < low - 76) | (hz > high + 76))
        rejected = max(rejected, change[inside].max(initial=-np.inf))
        kept = max(kept, np.abs(change[outside]).max())
    yield f"rejected band; {number} draws", f"{-rejected:.1f} dB down at least", "40 dB"
    yield "the rest, from 60 Hz away", f"{kept:.3f} dB off at most", "1 dB"


def pitches() -> Iterator[Row]:
    cents = [-1200, *range(-500, 501, 125), 37, 1200]
    pairs = [(f0, c) for f0 in (90.0, 137.3, 220.0, 1000.0) for c in cents]
    for name, kind in (("pitch", Pitch), ("sox pitch", SoxPitch)):
        off = [cents_off(kind.apply(harmonics(f), c), f * 2 ** (c / 1200)) for f, c in pairs]
        wanted = "5 cents" if name == "pitch" else "(sox)"
        what = f"{name} of tones; {len(off)} shifts from -1200 to 1200"
        yield what, f"{np.abs(off).max():.2f} cents off at most", wanted


def places() -> Iterator[Row]:
    """How far a shift of pitch moves a voiced burst of 0.2 s, by the middle of its energy."""
    time = np.arange(4 * RATE)
    at = range(8000, 56000, 6000)
    bursts = [harmonics(120.0)[: len(time)] * (np.abs(time - place) < 1600) for place in at]

    def middle(wav: np.ndarray) -> float:
        return float(np.average(time, weights=wav.astype(float) ** 2))

    for name, kind in (("pitch", Pitch), ("sox pitch", SoxPitch)):
        moved = [
            np.mean([middle(kind.apply(wav, cents)) - middle(wav) for wav in bursts])
            for cents in (-500, -300, 300, 500)
        ]
        what = f"place of a burst after {name}; {len(bursts)} places, -500 to 500 cents"
        wanted = "2 ms" if name == "pitch" else "(sox)"
        yield what, f"{1000 * np.abs(moved).max() / RATE:.1f} ms off at most, on average", wanted


def parity(wavs: list[np.ndarray], seed: int) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    noise = (0.1 * rng.standard_normal(30 * RATE)).astype(np.float32)
    band = {"low_hz": 1000.0, "high_hz": 1600.0}
    hz, before = spectrum_db(noise)
    ours, theirs = (spectrum_db(k.apply(noise, **band))[1] for k in (BandReject, SoxSinc))
    outside = (hz > 20) & ((hz < 850) | (hz > 1750))
    yield (
        "band reject 1000-1600 Hz and sox sinc, outside",
        f"{np.abs(ours - theirs)[outside].max():.4f} dB apart at most",
        "",
    )
    # Away from the edges, where sox's slopes, wider than ours, lie inside the band.
    middle = (hz > 1200) & (hz < 1400)
    least = [-(after - before)[middle].max() for after in (ours, theirs)]
    yield (
        "the same, 1200-1400 Hz",
        f"ours {least[0]:.0f} dB down, sox {least[1]:.0f} dB",
        "",
    )
    for cents in (-400, 400):
        apart = [
            np.abs(bands_db(Pitch.apply(w, cents)) - bands_db(SoxPitch.apply(w, cents))).mean()
            for w in wavs
        ]
        what = f"pitch {cents:+} cents and sox pitch, speech, third octaves"
        yield what, f"{np.mean(apart):.2f} dB apart on average", ""
    settings = {"reverberance": 50, "hf_damping": 50, "room_scale": 50}
    click = np.zeros(4 * RATE, np.float32)
    click[0] = 0.5
    taps = Filter(SoxReverb.apply(click, **settings))
    apart, residue = [], []
    for wav in wavs:
        theirs = SoxReverb.apply(wav, **settings)
        ours = reverberate(wav, taps, 0, "whole")
        ours *= np.float32(np.sqrt(power(theirs) / power(ours)))
        apart.append(np.abs(bands_db(ours) - bands_db(theirs)).max())
        residue.append(db(power(ours - theirs) / power(theirs)))
    yield (
        "rir with sox reverb's own response and sox reverb, speech",
        f"third octaves {max(apart):.4f} dB apart at most, residue {max(residue):.0f} dB",
        "",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("speech", "noise", "rir"):
        parser.add_argument(f"--{name}", type=Path, help="data dir")
    parser.add_argument("--number", type=int, default=100, help="of draws of each kind")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        made = make_material(Path(root), np.random.default_rng(args.seed))
        given = (args.speech, args.noise, args.rir)
        speech, noise, rir = (str(g or m) for g, m in zip(given, made, strict=True))
        wavs = utterances(Path(speech), 10.0)
        print("| what | measured | wanted |\n|---|---|---|")
        for rows in (
            meter(wavs),
            snr(wavs, noise, speech, args.seed, args.number),
            rooms(wavs, rir, args.seed, args.number),
            bands(args.seed, args.number),
            pitches(),
            places(),
            parity(wavs, args.seed),
        ):
            for row in rows:
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
