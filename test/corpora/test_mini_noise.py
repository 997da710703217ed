import shutil

import numpy as np
import pytest

from espnet_robust.corpora import mini_noise
from espnet_robust.corpora.mini import draw_voices
from espnet_robust.corpora.synthesis import generator
from espnet_robust.data.audio import RATE
from espnet_robust.data.data_dir import validate_data_dir

KINDS = mini_noise.IN_DOMAIN | mini_noise.OUT_OF_DOMAIN


def band_db(wav: np.ndarray, low: float, high: float) -> float:
    """Power density between two frequencies in dB."""
    power = np.abs(np.fft.rfft(wav)) ** 2
    frequency = np.fft.rfftfreq(len(wav), 1 / RATE)
    return 10 * np.log10(power[(low <= frequency) & (frequency < high)].mean())


@pytest.fixture(scope="module")
def plan():
    return mini_noise.plan_noises(0)


def test_out_of_domain_kinds_are_nowhere_else(plan):
    kinds = {part: {item["kind"] for item in items} for part, items in plan.items()}
    assert len(kinds["ood"]) >= 2
    assert kinds["train"] == kinds["dev"] == kinds["test"] == set(mini_noise.IN_DOMAIN)
    assert not kinds["ood"] & kinds["train"]


def test_babble_is_of_training_voices_and_other_ones_in_each_part(plan):
    parts = draw_voices(generator(0, "mini voices"))
    train = {voice.id for voice in parts["train"]}
    heard = {
        part: {voice["id"] for item in items for voice in item.get("voices", ())}
        for part, items in plan.items()
    }
    assert all(len(heard[part]) >= 6 for part in ("train", "dev", "test"))
    assert heard["train"] | heard["dev"] | heard["test"] <= train
    assert len(heard["train"] | heard["dev"] | heard["test"]) == sum(map(len, heard.values()))


def test_numbers(plan):
    assert {part: len(items) for part, items in plan.items()} == {
        "train": 60,
        "dev": 15,
        "test": 25,
        "ood": 24,
    }
    ids = [item["id"] for items in plan.values() for item in items]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"babble"}))
def test_every_recording_is_its_own_and_can_be_remade(kind):
    items = [{"id": f"{kind}-{n}", "kind": kind, "seed": 1} for n in range(3)]
    wavs = [mini_noise.render(item) for item in items]
    assert np.array_equal(wavs[0], mini_noise.render(items[0]))
    for n, wav in enumerate(wavs):
        assert len(wav) == 10 * RATE and np.isfinite(wav).all() and np.abs(wav).max() <= 0.951
        # No crop of a second is silent.
        seconds = np.sqrt(np.mean(wav.reshape(10, RATE) ** 2, axis=1))
        assert seconds.min() > 1e-3
        other = wavs[(n + 1) % 3]
        assert abs(np.dot(wav, other)) < 0.3 * np.linalg.norm(wav) * np.linalg.norm(other)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")
def test_babble(plan):
    item = next(i for i in plan["test"] if i["kind"] == "babble")
    wav = mini_noise.render(item)
    assert np.array_equal(wav, mini_noise.render(item))
    # Speech: most power below 4 kHz; many talkers: no pause of a tenth of a second.
    assert band_db(wav, 100, 4000) > band_db(wav, 4000, 8000) + 6
    tenths = np.sqrt(np.mean(wav.reshape(100, -1) ** 2, axis=1))
    assert tenths.min() > 0.1 * tenths.mean()


@pytest.mark.parametrize("exponent", [2.0, 1.0, -1.0])
def test_coloured_noise_has_its_slope(exponent):
    wav = mini_noise._coloured(np.random.default_rng(0), 30 * RATE, exponent)
    per_octave = (band_db(wav, 3200, 3600) - band_db(wav, 200, 225)) / 4
    assert per_octave == pytest.approx(-3.01 * exponent, abs=0.5)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")
def test_data_dirs(tmp_path, monkeypatch):
    monkeypatch.setattr(mini_noise, "NUMBERS", {"train": 1, "dev": 1, "test": 1, "ood": 1})
    dirs = mini_noise.prepare(tmp_path / "data", seed=5, nj=1)
    assert [d.name for d in dirs] == ["noise_train", "noise_dev", "noise_test", "noise_ood"]
    for path in dirs:
        data = validate_data_dir(path, need=("wav.scp", "utt2group"), audio=True)
        kinds = mini_noise.OUT_OF_DOMAIN if path.name == "noise_ood" else mini_noise.IN_DOMAIN
        assert set(data.tables["utt2group"].values()) == set(kinds)
