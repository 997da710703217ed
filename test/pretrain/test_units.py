from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from espnet_robust.models.frames import Frames
from espnet_robust.pretrain import units as module
from espnet_robust.pretrain.units import UnitsConfig, find_units, mfcc

FRAMES = Frames(16000, ((400, 320),))
MODEL = SimpleNamespace(num_frames=FRAMES.count, hop=320, min_samples=400)


def test_mfcc_frames_are_those_of_the_convolutions():
    wav = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    features = mfcc(wav, 320, 400)
    assert features.shape == (49, 39)
    assert np.abs(features.mean(0)).max() < 1e-4
    assert mfcc(wav[:400], 320, 400).shape == (1, 39)


def test_stored_units_are_those_of_this_audio_and_configuration(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    wavs = [rng.standard_normal(n).astype(np.float32) for n in (8000, 9000)]
    louder_end = [wavs[0], np.where(np.arange(9000) < 4500, wavs[1], 3 * wavs[1])]
    three = UnitsConfig({"from": "mfcc"}, clusters=3, seed=0)
    made = []
    real = module.mfcc
    monkeypatch.setattr(module, "mfcc", lambda *args: made.append(1) or real(*args))

    def found(config, audio):
        """The units, and whether they were computed."""
        made.clear()
        units = find_units(config, audio, MODEL, tmp_path / "units.npz")
        return np.concatenate(units), bool(made)

    first, computed = found(three, wavs)
    again, computed_again = found(three, [wav.copy() for wav in wavs])
    assert computed and not computed_again and np.array_equal(first, again)
    assert found(replace(three, clusters=20), wavs)[0].max() > 2
    for config, audio in ((three, wavs), (replace(three, seed=1), wavs), (three, louder_end)):
        assert found(config, audio)[1] and not found(config, audio)[1]
