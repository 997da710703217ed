"""Synthetic noises for the mini corpus: five kinds for training, four more out of domain only.

Every recording is drawn independently, so no two parts share material. Babble is made from training
voices, different ones in each part, who read a fable (public domain) instead of commands.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import scipy

from espnet_robust.corpora import espeak
from espnet_robust.corpora.mini import ACCENTS, TIMBRES, draw_voices
from espnet_robust.corpora.synthesis import add_seed, audio_tables, generator, make_files, to_rms
from espnet_robust.data.audio import RATE
from espnet_robust.data.data_dir import write_data_dir

SECONDS = 10.0
LEVEL_DBFS = -26.0
NUMBERS = {"train": 12, "dev": 3, "test": 5, "ood": 6}  # recordings per kind
# How many of the 36 training voices each part's babble may use.
BABBLE_VOICES = {"train": 18, "dev": 8, "test": 10}
FABLE = (
    "the north wind and the sun were disputing which was the stronger",
    "when a traveller came along wrapped in a warm cloak",
    "they agreed that the one who first made him take it off",
    "should be considered stronger than the other",
    "then the north wind blew as hard as he could",
    "but the more he blew the more closely did the traveller fold his cloak around him",
    "and at last the north wind gave up the attempt",
    "then the sun shone out warmly and immediately the traveller took off his cloak",
    "and so the north wind was obliged to confess that the sun was stronger of the two",
)


def babble(rng: np.random.Generator, n: int, voices: list[dict]) -> np.ndarray:
    """Six to ten of ``voices`` (mini.Voice as dict) reading at once, levels within 6 dB."""
    total = np.zeros(n, np.float32)
    chosen = rng.choice(len(voices), size=rng.integers(6, min(10, len(voices)) + 1), replace=False)
    for voice in (voices[i] for i in chosen):
        first = int(rng.integers(len(FABLE)))
        text = ", ".join(islice(cycle(FABLE), first, first + 6))  # at least 15 s
        wav = espeak.speak(
            text,
            f"{voice['accent']}+{voice['timbre']}",
            rate=round(voice["rate"] * rng.uniform(0.9, 1.1)),
            pitch=voice["pitch"],
        )
        wav = np.resize(wav, n + RATE)
        start = int(rng.integers(RATE))
        total += to_rms(wav[start : start + n], rng.uniform(-33, -27))
    return total


def coloured(rng: np.random.Generator, n: int) -> np.ndarray:
    """Gaussian noise with power falling as 1 / f ** a: brown (2), pink (1) or blue (-1)."""
    return _coloured(rng, n, rng.choice([2.0, 1.0, -1.0]) + rng.uniform(-0.2, 0.2))


def hum(rng: np.random.Generator, n: int) -> np.ndarray:
    """A machine: harmonics of a drifting 45..240 Hz that swell and fade together, over hiss."""
    base = rng.uniform(45, 240) * (1 + 0.01 * _drift(rng, n, 0.5))
    phase = 2 * np.pi * np.cumsum(base) / RATE
    number = min(40, int(7000 / base.max()))
    decay = rng.uniform(0.3, 1.3)
    levels = np.arange(1, number + 1) ** -decay * rng.uniform(0.2, 1, number)
    tone = sum(
        a * np.sin(k * phase + p)
        for k, (a, p) in enumerate(zip(levels, rng.uniform(0, 2 * np.pi, number), strict=True), 1)
    )
    depth, rate = rng.uniform(0.1, 0.7), rng.uniform(0.5, 8)
    swell = 1 + depth * np.sin(2 * np.pi * rate * np.arange(n) / RATE)
    hiss = _unit(_coloured(rng, n, rng.uniform(0.5, 1.5)))
    return _unit(tone) * swell + rng.uniform(0.1, 0.5) * hiss


def music(rng: np.random.Generator, n: int) -> np.ndarray:
    """Chords from a random scale, struck together or note by note, with overtones."""
    out = np.zeros(n)
    root = rng.uniform(110, 330)
    scale = np.array([[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]][rng.integers(2)])
    beat = int(RATE * rng.uniform(0.25, 0.6))
    arpeggio = rng.random() < 0.5
    overtones = np.arange(1, 9) ** -rng.uniform(0.8, 2.0)
    attack, decay = rng.uniform(0.005, 0.08), rng.uniform(0.3, 1.5)  # s
    for start in range(0, n, 2 * beat):
        degree = rng.integers(7)
        for i, step in enumerate((0, 2, 4, 6)[: rng.integers(3, 5)]):
            octave, note = divmod(degree + step, 7)
            pitch = root * 2 ** (octave + scale[note] / 12)
            onset = start + (i * beat // 2 if arpeggio else 0)
            t = np.arange(max(0, min(n - onset, 4 * beat))) / RATE
            envelope = np.minimum(t / attack, 1) * np.exp(-t / decay)
            for k, level in enumerate(overtones, 1):
                if k * pitch < RATE / 2:
                    out[onset : onset + len(t)] += (
                        level * envelope * np.sin(2 * np.pi * k * pitch * t)
                    )
    return _unit(out) + 0.01 * rng.standard_normal(n)


def clatter(rng: np.random.Generator, n: int) -> np.ndarray:
    """Dishes and tools: two to twelve blows a second, each a click and a few ringing modes."""
    out = np.zeros(n)
    for onset in rng.integers(0, n, rng.poisson(rng.uniform(2, 12) * n / RATE)):
        t = np.arange(min(n - onset, RATE // 2)) / RATE
        modes = int(rng.integers(3, 9))
        blow = np.exp(-t / 0.003) * rng.standard_normal(len(t))
        for pitch, ring, level in zip(
            rng.uniform(400, 7000, modes),
            rng.uniform(0.01, 0.12, modes),
            rng.uniform(0.2, 1, modes),
            strict=True,
        ):
            blow += level * np.exp(-t / ring) * np.sin(2 * np.pi * pitch * t)
        out[onset : onset + len(t)] += 10 ** (rng.uniform(-20, 0) / 20) * blow
    return _unit(out) + 0.05 * _unit(_coloured(rng, n, 1.0))


def siren(rng: np.random.Generator, n: int) -> np.ndarray:
    """An alarm: a tone with odd overtones sweeping or jumping between two pitches, echoing."""
    low = rng.uniform(400, 900)
    high = low * rng.uniform(1.3, 2.2)
    cycle_ = (np.arange(n) / RATE / rng.uniform(0.3, 4) + rng.random()) % 1
    shape = [
        lambda c: 0.5 - 0.5 * np.cos(2 * np.pi * c),  # wail
        lambda c: c,  # rising sweep
        lambda c: (c < 0.5).astype(float),  # two tones
    ][rng.integers(3)](cycle_)
    phase = 2 * np.pi * np.cumsum(low * (high / low) ** shape) / RATE
    tone = sum(np.sin(k * phase) / k ** rng.uniform(1, 2) for k in (1, 3, 5))
    delay = int(RATE * rng.uniform(0.05, 0.25))
    echoing = scipy.signal.lfilter(
        [1.0], np.r_[1.0, np.zeros(delay - 1), -rng.uniform(0.2, 0.5)], tone
    )
    return _unit(echoing) + 0.05 * rng.standard_normal(n)


def rotor(rng: np.random.Generator, n: int) -> np.ndarray:
    """Helicopter or idling engine: low-passed noise in 8..30 pulses a second, and a whine."""
    rate = rng.uniform(8, 30) * (1 + 0.03 * _drift(rng, n, 0.3))
    turns = np.cumsum(rate) / RATE
    pulses = np.exp(rng.uniform(2, 6) * (np.cos(2 * np.pi * turns) - 1))
    body = scipy.signal.sosfilt(
        scipy.signal.butter(2, rng.uniform(200, 900), fs=RATE, output="sos"), rng.standard_normal(n)
    )
    whine = np.sin(2 * np.pi * rng.integers(40, 120) * turns)
    return _unit(body * pulses) + rng.uniform(0.05, 0.3) * whine + 0.03 * rng.standard_normal(n)


def rain(rng: np.random.Generator, n: int) -> np.ndarray:
    """Crackle of a few hundred drops a second over high-passed hiss."""
    drops = np.zeros(n)
    number = rng.poisson(rng.uniform(150, 1200) * n / RATE)
    np.add.at(drops, rng.integers(0, n, number), rng.exponential(1, number) ** 1.5)
    band = rng.uniform(800, 1500), rng.uniform(4000, 7500)
    drops = scipy.signal.sosfilt(
        scipy.signal.butter(1, band, "bandpass", fs=RATE, output="sos"), drops
    )
    high_pass = scipy.signal.butter(1, 1000, "highpass", fs=RATE, output="sos")
    hiss = scipy.signal.sosfilt(high_pass, _coloured(rng, n, 0.5))
    return _unit(drops) + rng.uniform(0.1, 0.6) * _unit(hiss)


def wind(rng: np.random.Generator, n: int) -> np.ndarray:
    """Rumble in gusts and a whistle that rises with them."""
    gust = np.clip(0.4 + 0.3 * _drift(rng, n, rng.uniform(0.2, 0.8)), 0.05, None)
    rumble = _unit(_coloured(rng, n, 2.5)) * gust
    pitch = rng.uniform(300, 700) * (1 + 0.6 * gust)
    # The wider a whistle's band, the faster its phase wanders.
    phase = 2 * np.pi * np.cumsum(pitch) / RATE + np.cumsum(0.05 * rng.standard_normal(n))
    return _unit(rumble) + rng.uniform(0.05, 0.3) * np.sin(phase) * gust**2


IN_DOMAIN: dict[str, Callable] = {f.__name__: f for f in (babble, clatter, coloured, hum, music)}
OUT_OF_DOMAIN: dict[str, Callable] = {f.__name__: f for f in (rain, rotor, siren, wind)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_seed(parser)


def prepare(out: Path, *, seed: int = 0, nj: int = 2) -> list[Path]:
    """Write OUT/noise_{train,dev,test,ood} and OUT/mini_noise_audio; returns the data dirs.

    ``utt2group`` holds the kind. Same seed, same bytes.

    Raises:
        UserError: espeak-ng is not installed.
    """
    version = espeak.version(ACCENTS, (name for names in TIMBRES.values() for name in names))
    plan = plan_noises(seed)
    items = [item | {"espeak": version} for part in plan.values() for item in part]
    made = make_files(render, items, out / "mini_noise_audio", nj=nj, label="mini: noise")
    dirs = []
    for part, noises in plan.items():
        groups = {"utt2group": {item["id"]: item["kind"] for item in noises}}
        tables = audio_tables(made, groups["utt2group"]) | groups
        dirs.append(write_data_dir(out / f"noise_{part}", tables).path)
    return dirs


def plan_noises(seed: int) -> dict[str, list[dict]]:
    """The recordings to make for each part; babble lists the voices it may use."""
    rng = generator(seed, "mini_noise babble voices")
    voices = draw_voices(generator(seed, "mini voices"))["train"]
    order = iter([asdict(voices[i]) for i in rng.permutation(len(voices))])
    plan: dict[str, list[dict]] = {}
    for part, number in NUMBERS.items():
        kinds = OUT_OF_DOMAIN if part == "ood" else IN_DOMAIN
        readers = list(islice(order, BABBLE_VOICES.get(part, 0)))
        plan[part] = []
        for kind in sorted(kinds):
            for n in range(number):
                name = f"{kind}-{part}-{n:02d}"
                item = {"id": name, "file": f"{part}/{name}.flac", "kind": kind, "seed": seed}
                plan[part].append(item | ({"voices": readers} if kind == "babble" else {}))
    return plan


def render(item: dict) -> np.ndarray:
    """(samples,): ten seconds of a planned noise."""
    rng = generator(item["seed"], f"mini_noise {item['id']}")
    make = (IN_DOMAIN | OUT_OF_DOMAIN)[item["kind"]]
    options = {"voices": item["voices"]} if "voices" in item else {}
    return to_rms(make(rng, int(SECONDS * RATE), **options), LEVEL_DBFS)


def _unit(wav: np.ndarray) -> np.ndarray:
    """RMS 1."""
    return wav / np.sqrt(np.mean(np.square(wav)))


def _coloured(rng: np.random.Generator, n: int, exponent: float) -> np.ndarray:
    """(n,) Gaussian noise with power falling as 1 / f ** exponent above 20 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20)
    return np.fft.irfft(spectrum * frequency ** (-exponent / 2), n)


def _drift(rng: np.random.Generator, n: int, rate: float) -> np.ndarray:
    """(n,) slow random curve, about -1..1, with about ``rate`` turning points per second."""
    knots = int(np.ceil(n / RATE * rate)) + 2
    at = np.linspace(0, n, knots)
    return np.interp(np.arange(n), at, rng.uniform(-1, 1, knots))
