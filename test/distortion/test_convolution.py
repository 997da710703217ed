import numpy as np
import pytest
from scipy.signal import oaconvolve

from espnet_robust.distortion.convolution import Filter


@pytest.mark.parametrize("num_samples", [1, 37, 4000, 50_001])
@pytest.mark.parametrize("num_taps", [1, 2, 1025, 9000, 40_000, 120_000])
def test_agrees_with_scipy(num_samples, num_taps):
    rng = np.random.default_rng(num_samples + num_taps)
    wav = rng.standard_normal(num_samples).astype(np.float32)
    taps = rng.standard_normal(num_taps).astype(np.float32)
    filter = Filter(taps)
    for start in {0, num_taps // 9, num_taps // 2, num_taps - 1}:
        out = filter(wav, start)
        assert out.dtype == np.float32
        want = oaconvolve(wav.astype(float), taps.astype(float))[start : start + num_samples]
        np.testing.assert_allclose(out, want, atol=2e-6 * np.abs(want).max() + 1e-5)
