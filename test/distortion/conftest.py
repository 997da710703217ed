import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from espnet_robust.data.audio import RATE, write_audio
from espnet_robust.data.data_dir import write_data_dir


def voice(seconds: float, seed: int) -> np.ndarray:
    """Speech-like: harmonics under formants, in syllables with pauses, peak about 0.5."""
    rng = np.random.default_rng(seed)
    num_samples = round(seconds * RATE)
    pitch = 120 + 20 * np.sin(np.arange(num_samples) / RATE * 3 + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 25))
    formants = butter(2, [300, 3000], "bandpass", fs=RATE, output="sos")
    syllables = np.repeat(rng.uniform(0, 1, num_samples // 3200 + 1) > 0.35, 3200)[:num_samples]
    syllables = np.convolve(syllables, np.hanning(800) / 400, "same")
    wav = sosfilt(formants, buzz) * syllables + 1e-4 * rng.standard_normal(num_samples)
    return (0.5 * wav / np.abs(wav).max()).astype(np.float32)


def noise(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = butter(1, 1000, "lowpass", fs=RATE, output="sos")
    wav = sosfilt(low, rng.standard_normal(round(seconds * RATE)))
    return (0.3 * wav / np.abs(wav).max()).astype(np.float32)


def response(rt60: float, lead: int, seed: int) -> np.ndarray:
    """A direct path after ``lead`` samples, and an exponential tail."""
    t = np.arange(round(1.2 * rt60 * RATE)) / RATE
    tail = np.random.default_rng(seed).standard_normal(len(t)) * 10 ** (-3 * t / rt60)
    rir = np.concatenate([np.zeros(lead), 0.2 * tail])
    rir[lead] = 1.0
    return (0.9 * rir / np.abs(rir).max()).astype(np.float32)


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    return voice(4.0, seed=0)


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """Data dirs: noise (short and long items in two groups), rir (two rooms), voices."""
    root = tmp_path_factory.mktemp("material")
    sounds = {
        "noise": {
            "hum-0": noise(12.5, 0),
            "hum-1": noise(1.3, 1),
            "wind-0": noise(5.0, 2),
        },
        "rir": {
            "bath-0": response(0.8, 0, 3),
            "bath-1": response(0.8, 40, 4),
            "den-0": response(0.3, 7, 5),
        },
        "voices": {f"spk{i}-0": voice(1 + 0.5 * i, seed=10 + i) for i in range(4)},
    }
    for name, items in sounds.items():
        (root / f"{name}_audio").mkdir()
        tables = {"wav.scp": {}, "utt2group": {}}
        for item, wav in items.items():
            path = root / f"{name}_audio" / f"{item}.flac"
            write_audio(path, wav)
            tables["wav.scp"][item] = str(path)
            tables["utt2group"][item] = item.partition("-")[0]
        if name == "rir":
            tables["utt2rt60"] = {item: "0.3" if "den" in item else "0.8" for item in items}
        if name == "voices":
            tables["text"] = dict.fromkeys(items, "SOME WORDS")
            tables["utt2spk"] = tables.pop("utt2group")
        write_data_dir(root / name, tables)
    return root


@pytest.fixture(scope="session")
def steps(material):
    """One step of every kind, by name."""
    needs = {
        "noise": {"noise": str(material / "noise"), "count": [1, 2]},
        "babble": {"speech": str(material / "voices")},
        "rir": {"rir": str(material / "rir")},
    }
    from espnet_robust.distortion.kinds import KINDS

    return {name: {"name": name, **needs.get(name, {})} for name in KINDS}
