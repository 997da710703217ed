"""Convolve a long signal with a shorter one, by overlap-save with batched float32 FFTs."""

from functools import lru_cache

import numpy as np
from scipy import fft

_BLOCKS = tuple(1 << n for n in range(11, 17))  # samples per transform
_MAX_PARTS = 32


class Filter:
    """Filter taps with their spectra, which are computed once per way of partitioning them.

    Long filters are split into parts, each as long as half a transform, so that many short
    transforms, which the FFT computes several at a time, replace a few long ones (partitioned
    convolution; Stockham, AFIPS 1966). scipy's ``oaconvolve`` gives the same result to float32
    precision and takes 3 to 6 times as long.

    Args:
        taps: (taps,) float32.
    """

    def __init__(self, taps: np.ndarray):
        self.taps = taps
        self._spectra: dict[tuple[int, int], np.ndarray] = {}

    @property
    def size(self) -> int:
        return len(self.taps)

    def __call__(self, wav: np.ndarray, start: int) -> np.ndarray:
        """Samples ``start`` to ``start + len(wav)`` of the full convolution.

        Args:
            wav: (samples,) float32.
            start: where the output begins, in [0, taps - 1], such as a direct path or a delay.
        """
        num_samples = len(wav)
        block, num_parts, hop = _plan(num_samples, self.size)
        num_frames = -(-num_samples // hop)
        # Frames before the first output frame, which the later parts of the filter need.
        num_before = min(num_parts - 1, -(-start // hop))
        at = num_before * hop + block - hop - start  # of the first sample in the padded signal
        padded = np.zeros((num_before + num_frames - 1) * hop + block, np.float32)
        if at >= 0:
            padded[at : at + num_samples] = wav[: len(padded) - at]
        else:
            padded[: num_samples + at] = wav[-at : len(padded) - at]
        frames = np.lib.stride_tricks.sliding_window_view(padded, block)[::hop]
        spectra = fft.rfft(frames)
        parts = self._parts(block, num_parts)
        if num_parts == 1:
            spectra *= parts[0]
            total = spectra
        else:
            total = np.zeros((num_frames, parts.shape[1]), np.complex64)
            for n, part in enumerate(parts[: num_frames + num_before]):
                first = max(0, n - num_before)
                back = num_before - n
                total[first:] += spectra[first + back : num_frames + back] * part
        out = fft.irfft(total, block, overwrite_x=True)[:, block - hop :]
        return out.reshape(-1)[:num_samples]

    def _parts(self, block: int, num_parts: int) -> np.ndarray:
        """(parts, bins) complex64."""
        key = (block, num_parts)
        if key not in self._spectra:
            if num_parts == 1:
                cut = self.taps[None]
            else:
                cut = np.zeros((num_parts, block // 2), np.float32)
                cut.reshape(-1)[: self.size] = self.taps
            self._spectra.clear()  # signals usually have one length
            self._spectra[key] = fft.rfft(cut, block)
        return self._spectra[key]


@lru_cache(maxsize=1024)
def _plan(num_samples: int, num_taps: int) -> tuple[int, int, int]:
    """The cheapest (samples per transform, parts of the filter, new samples per frame)."""

    def plan(block: int) -> tuple[int, int, int]:
        if num_taps <= block // 2:
            return block, 1, block - num_taps + 1
        return block, -(-2 * num_taps // block), block // 2

    def cost(plan: tuple[int, int, int]) -> float:
        block, num_parts, hop = plan
        num_frames = -(-num_samples // hop) + min(num_parts - 1, 4)
        # Measured: long transforms are not computed several at a time and do not fit the cache;
        # one multiply-add costs as much as 5 of the log2(block) steps of an FFT.
        transforms = 2 * np.log2(block) * (1 + block / 60_000)
        products = 5 * num_parts if num_parts > 1 else 0.7
        return num_frames * block * (transforms + products) + num_parts * block * np.log2(block)

    plans = [plan(block) for block in _BLOCKS]
    fitting = [plan for plan in plans if plan[1] <= _MAX_PARTS] or plans[-1:]
    return min(fitting, key=cost)
