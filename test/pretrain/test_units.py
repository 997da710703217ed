import numpy as np

from espnet_robust.pretrain.units import mfcc


def test_mfcc_frames_are_those_of_the_convolutions():
    wav = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    features = mfcc(wav, 320, 400)
    assert features.shape == (49, 39)
    assert np.abs(features.mean(0)).max() < 1e-4
    assert mfcc(wav[:400], 320, 400).shape == (1, 39)
