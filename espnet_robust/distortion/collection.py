"""Collections of noises, rooms and speech: data dirs from which items are drawn at random."""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.audio import RATE, audio_info, read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distortion.convolution import Filter
from espnet_robust.distortion.level import power

SILENCE = 1e-9  # mean square, -90 dB re full scale: below the step size of 16-bit audio
NEAREST = 4  # rooms and positions for one reverberation time
ATTEMPTS = 20  # crops tried before noise counts as silent
FADE = RATE // 20  # samples; cross-fade when noise is looped

_SHORT = 10 * RATE  # samples; items up to this length are decoded whole and cached


class Recent:
    """Cache of recently decoded audio, up to a total number of samples."""

    def __init__(self, max_samples: int):
        self.max_samples = max_samples
        self._kept: OrderedDict = OrderedDict()
        self._samples = 0

    def clear(self) -> None:
        self._kept.clear()
        self._samples = 0

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value cached under ``key``, or else what ``make`` returns."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = self._kept[key] = make()
        self._samples += _size(value)
        while self._samples > self.max_samples and len(self._kept) > 1:
            self._samples -= _size(self._kept.popitem(last=False)[1])
        return value


def _size(value: np.ndarray | tuple[Filter, int]) -> int:
    """Size in samples; the spectra of a filter take up to four times as much as its taps."""
    return value.size if isinstance(value, np.ndarray) else 5 * value[0].size


_KEPT = Recent(16 << 20)  # shared by all collections of a process: 64 MiB, 17 min of audio


class Collection:
    """Items of a data dir: first a group is drawn (if there is ``utt2group``), then an item in it.

    Reads only the requested audio. Holds no open file, so it can be used after a fork.

    Raises:
        DataDirError: as for ``read_data_dir``, or ``utt2group`` lacks an item.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        data = read_data_dir(path)
        self.wav = dict(data.wav)
        group_of = data.tables.get("utt2group")
        groups: dict[str, list[str]] = {}
        for item in self.wav:
            if group_of is not None and item not in group_of:
                raise DataDirError(f"{self.path}/utt2group: no group for {item!r}")
            groups.setdefault(group_of[item] if group_of else "", []).append(item)
        self._rt60 = data.tables.get("utt2rt60")
        self.groups = groups
        self.group_of = group_of
        self._lengths: dict[str, int] = {}
        self._group_names = sorted(groups)

    def num_samples(self, item: str) -> int:
        """Length at 16 kHz, from the header, as ``utt2num_samples`` may count at another rate."""
        if item not in self._lengths:
            self._lengths[item] = audio_info(self._entry(item)).num_samples_at(RATE)
        return self._lengths[item]

    def draw_item(
        self, rng: np.random.Generator, group: str | None = None, exclude: str | None = None
    ) -> str:
        """Draw an item, from ``group`` if given; never ``exclude`` unless it is the only one."""
        if group is None:
            group = self._group_names[int(rng.integers(len(self._group_names)))]
        items = self.groups[group]
        item = items[int(rng.integers(len(items)))]
        if item == exclude and len(items) > 1:
            item = items[(items.index(item) + 1) % len(items)]
        return item

    def draw_near(self, rng: np.random.Generator, rt60: float) -> str:
        """One of the ``NEAREST`` items whose reverberation time is closest to ``rt60`` seconds.

        Raises:
            DataDirError: ``utt2rt60`` is missing, lacks an item, or holds something other than
                numbers.
        """
        known = self.known_rt60
        by_distance = sorted(self.wav, key=lambda item: (abs(known[item] - rt60), item))
        nearest = by_distance[:NEAREST]
        return nearest[int(rng.integers(len(nearest)))]

    @property
    def has_rt60(self) -> bool:
        """Whether there is an ``utt2rt60``."""
        return self._rt60 is not None

    @cached_property
    def known_rt60(self) -> dict[str, float]:
        """Item -> reverberation time, s; read when it is first asked for, as few ask for it.

        Raises:
            DataDirError: as for ``draw_near``.
        """
        if self._rt60 is None:
            raise DataDirError(
                f"{self.path}: rt60 asked for, and no utt2rt60 in it; leave out rt60, or write the"
                " table, a line with its reverberation time in seconds for each response"
            )
        if lacking := next((item for item in self.wav if item not in self._rt60), None):
            raise DataDirError(f"{self.path}/utt2rt60: no RT60 for {lacking!r}")
        known = {}
        for line, (item, text) in enumerate(self._rt60.items(), 1):
            try:
                known[item] = float(text)
            except ValueError:
                known[item] = math.nan
            if not 0 <= known[item] < math.inf:
                raise DataDirError(
                    f"{self.path}/utt2rt60:{line}: {text!r} is not a time in seconds, such as 0.4"
                )
        return known

    def draw_crop(
        self, rng: np.random.Generator, num_samples: int, exclude: str | None = None
    ) -> tuple[str, int]:
        """Draw an item and a first sample such that the crop is not silent.

        Raises:
            AudioError: as for ``read_audio``, or all crops tried were silent.
        """
        for _ in range(ATTEMPTS):
            item = self.draw_item(rng, exclude=exclude)
            length = self.num_samples(item)
            last = length - num_samples
            offset = int(rng.integers(last + 1 if last >= 0 else length))
            # A short item is looped, so all of it is heard.
            heard = self.crop(item, offset, num_samples) if last >= 0 else self._whole(item)
            if power(heard) > SILENCE:
                return item, offset
        raise AudioError(
            f"{self.path}: {ATTEMPTS} random crops were all silent; remove its silent files"
        )

    def crop(self, item: str, offset: int, num_samples: int) -> np.ndarray:
        """(num_samples,) float32, read-only.

        Only the crop is decoded if the item is long. An item that ends too early is looped, with a
        cross-fade.
        """
        length = self.num_samples(item)
        entry = self._entry(item)
        if length > _SHORT and offset + num_samples <= length:
            # draw_crop reads the crop to check for silence; apply reads it again.
            key = (entry, offset, num_samples)
            return _KEPT.get(key, lambda: read_audio(entry, start=offset, num_samples=num_samples))
        whole = self._whole(item)
        if offset + num_samples <= len(whole):
            return whole[offset : offset + num_samples]
        return loop(whole, offset, num_samples)

    def _whole(self, item: str) -> np.ndarray:
        entry = self._entry(item)
        return _KEPT.get(entry, lambda: read_audio(entry))

    def rir(self, item: str) -> tuple[Filter, int]:
        """A room impulse response and the index of its direct path."""
        entry = self._entry(item)

        def make() -> tuple[Filter, int]:
            taps, direct = trim_rir(read_audio(entry), entry)
            return Filter(taps), direct

        return _KEPT.get((entry, "rir"), make)

    def _entry(self, item: str) -> str:
        try:
            return self.wav[item]
        except KeyError:
            raise DataDirError(f"{self.path}/wav.scp: {item!r} is no longer in it") from None


def open_collection(path: str | Path) -> Collection:
    """The collection at ``path``, read once per process, and again if its ``wav.scp`` changes."""
    path = Path(path)
    try:
        changed = (path / "wav.scp").stat().st_mtime_ns
    except OSError:
        changed = 0  # Collection reports what is missing
    return _open_collection(path, changed)


@lru_cache(maxsize=64)
def _open_collection(path: Path, changed: int) -> Collection:
    return Collection(path)


def forget() -> None:
    """Clear all caches, so that audio replaced under the same name is read again."""
    _KEPT.clear()
    _open_collection.cache_clear()


def loop(wav: np.ndarray, offset: int, num_samples: int) -> np.ndarray:
    """Repeat short noise without an audible seam.

    The end is cross-faded into the beginning at constant power; the period is shorter than ``wav``
    by that overlap.

    Args:
        wav: (samples,).
        offset: where in ``wav`` to begin.
        num_samples: length of the result.
    """
    fade = min(FADE, len(wav) // 4)
    period = len(wav) - fade
    unit = wav[:period].copy()
    if fade:
        angle = (np.arange(fade, dtype=np.float32) + 0.5) * np.float32(np.pi / 2 / fade)
        unit[:fade] = wav[:fade] * np.sin(angle) + wav[period:] * np.cos(angle)
    offset %= period
    return np.tile(unit, -(-(offset + num_samples) // period))[offset : offset + num_samples]


def trim_rir(rir: np.ndarray, name: str = "RIR") -> tuple[np.ndarray, int]:
    """Cut the tail of a room impulse response where less than -60 dB of its energy remains, and
    find its direct path: the peak of the first arrival within 6 dB of the maximum.

    Returns:
        Taps (float32, maximum magnitude 1) and the index of the direct path.

    Raises:
        AudioError: the response is silent.
    """
    size = np.abs(rir)
    peak = float(size.max())
    if peak**2 <= SILENCE:
        raise AudioError(f"{name}: a silent impulse response")
    first = int(np.argmax(size >= peak / 2))
    direct = first + int(np.argmax(size[first : first + RATE // 1000]))
    left = np.cumsum(np.square(rir[::-1], dtype=np.float64))[::-1]
    end = max(direct + 1, int(np.count_nonzero(left > 1e-6 * left[0])))
    return np.ascontiguousarray(rir[:end] / rir.dtype.type(peak)), direct
