"""Speech for ESPnet training, read and checked as everywhere else in this package.

ESPnet's own reader drops the sampling rate, accepts truncated files, and returns samples from a
Kaldi ark as integers up to 32768.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from soundfile import SoundFileError

from espnet_robust.common.errors import AudioError
from espnet_robust.data.audio import check_samples, read_channels, resample


class CheckedAudio(Mapping):
    """A replacement for ESPnet's reader: utterance id -> (rate, samples).

    Files are read by ``read_channels``. Anything else, such as an ark, is read by ``loader``,
    checked, scaled to [-1, 1] if its samples are integers, and resampled.

    Args:
        loader: {utterance: (rate, samples) or (samples, rate)}, with ``get_path`` if an utterance
            is a file. Arrays without a rate (features) are passed on unchanged.
        rate: the model's rate, in Hz. Other audio is resampled to it, as in decoding.
        table: the file that ``loader`` was made from.
    """

    def __init__(self, loader: Mapping, rate: int, table: str | Path):
        self.loader = loader
        self.rate = rate
        self.table = table

    def __getitem__(self, utt: str) -> tuple[int, np.ndarray] | np.ndarray:
        """(rate, samples). Raises AudioError as ``read_channels`` does, naming the utterance."""
        path = self.loader.get_path(utt) if hasattr(self.loader, "get_path") else None
        try:
            if isinstance(path, str):
                return self.rate, read_channels(path, rate=self.rate)
            loaded = self.loader[utt]
            if isinstance(loaded, np.ndarray):
                return loaded
            return self.rate, self._checked(*loaded)
        except AudioError as e:
            raise AudioError(f"{self.table}: utterance {utt}: {e}") from None
        except (OSError, SoundFileError, RuntimeError, ValueError) as e:
            reason = " ".join(str(e).split())
            raise AudioError(f"{self.table}: utterance {utt}: cannot be read: {reason}") from e

    def _checked(self, first: Any, second: Any) -> np.ndarray:
        """(rate, samples), in either order -> (samples,) or (samples, channels) at ``rate``."""
        rate, samples = (first, second) if isinstance(first, int) else (second, first)
        if samples.dtype.kind == "i":
            samples = (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
        check_samples(samples, "its audio")
        return samples if rate == self.rate else resample(samples, rate, self.rate)

    def __contains__(self, utt: object) -> bool:
        return utt in self.loader

    def __iter__(self) -> Iterator[str]:
        return iter(self.loader)

    def __len__(self) -> int:
        return len(self.loader)
