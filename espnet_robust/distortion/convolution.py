"""Convolution of a long signal with a shorter one, by overlap-save in batched float32 FFTs."""

from functools import lru_cache

import numpy as np
from scipy import fft

_MIN_BLOCK, _MAX_BLOCK = 1 << 11, 1 << 17


def convolve(wav: np.ndarray, taps: np.ndarray, start: int) -> np.ndarray:
    """Samples ``start`` to ``start + len(wav)`` of the full convolution.

    scipy's ``oaconvolve`` gives the same to float32 precision and takes 3 to 6 times as long: it
    computes the part that is thrown away here, and in fewer, longer transforms.

    Args:
        wav: (samples,) float32.
        taps: (taps,) float32.
        start: of the output, in [0, taps - 1]; a direct path or the delay of a filter.
    """
    num_samples = len(wav)
    taps = taps[: start + num_samples]  # later ones reach no sample that is asked for
    num_taps = len(taps)
    block = _block(num_samples, num_taps)
    hop = block - num_taps + 1
    num_frames = -(-num_samples // hop)
    # Output sample t needs input samples t - taps + 1 to t.
    lead = num_taps - 1 - start
    padded = np.zeros(num_frames * hop + num_taps - 1, np.float32)
    padded[lead : lead + num_samples] = wav[: len(padded) - lead]
    frames = np.lib.stride_tricks.sliding_window_view(padded, block)[::hop]
    spectra = fft.rfft(frames)
    spectra *= fft.rfft(taps, block)
    out = fft.irfft(spectra, block, overwrite_x=True)[:, num_taps - 1 :]
    return out.reshape(-1)[:num_samples]


@lru_cache(maxsize=256)
def _block(num_samples: int, num_taps: int) -> int:
    """The power of two that costs least: transforms there and back, and one of the taps."""

    def cost(block: int) -> float:
        num_frames = -(-num_samples // (block - num_taps + 1))
        # Log for the work; the rest for caches that short blocks fit into and long ones do not.
        return (2 * num_frames + 1) * block * (np.log2(block) + block / 8192)

    smallest = max(_MIN_BLOCK, 1 << int(1.15 * num_taps).bit_length())
    sizes = [smallest << n for n in range(5) if smallest << n <= max(smallest, _MAX_BLOCK)]
    return min(sizes, key=cost)
