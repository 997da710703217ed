"""Read audio of any rate and channel count as a stream of mono blocks, in constant memory.

Needs only soundfile and soxr. Files are checked as those of data dirs are.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_robust.common.errors import AudioError
from espnet_robust.device.metadata import Metadata
from espnet_robust.device.runtime import package

BLOCK_SECONDS = 10


@dataclass(frozen=True)
class Source:
    """An audio file.

    Attributes:
        frames: samples per channel.
        rate: sampling rate in Hz.
        blocks: yields (samples, channels) float32 from the start, so many at a time.
    """

    path: Path
    frames: int
    rate: int
    channels: int
    blocks: Callable[[int], Iterator[np.ndarray]]

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def open_source(path: Path) -> Source:
    """Check, as for data dirs, that a file is complete audio.

    Raises:
        AudioError: missing, empty, not audio, cut off, or an implausible rate.
    """
    for name in ("soundfile", "soxr"):
        package(name)  # the reader imports them, without a message for the user
    from espnet_robust.data.entries import in_order

    audio = in_order(path)
    return Source(path, audio.frames, audio.rate, audio.channels, audio.blocks)


def open_speech(path: Path, rate: int, min_samples: int, note: Callable[[str], None]) -> Source:
    """``open_source`` for a model that hears ``rate`` Hz.

    Args:
        min_samples: the fewest samples that yield one frame.
        note: called with a message if the audio is resampled or its channels are averaged.

    Raises:
        AudioError: not audio, or shorter than one frame.
    """
    source = open_source(path)
    if source.seconds * rate < min_samples:
        raise AudioError(
            f"{path}: {1000 * source.seconds:.0f} ms, shorter than one frame "
            f"({1000 * min_samples / rate:.0f} ms)"
        )
    if done := changes(source, rate):
        note(f"{path}: {done}")
    return source


def check_length(utterance: str, samples: int, model: Metadata) -> None:
    """Raise AudioError if an utterance, named with its data dir, is shorter than one frame.

    Args:
        samples: its length at the model's rate.
    """
    if samples < model.min_samples:
        raise AudioError(
            f"{utterance}: {samples} samples, shorter than one frame ({model.min_samples}); delete "
            "its line in utt2spk, then: espnet-robust data fix DATA_DIR"
        )


def changes(source: Source, rate: int) -> str:
    """What ``read_blocks`` changes in the audio; "" if nothing."""
    done = []
    if source.rate != rate:
        done.append(f"resampled from {source.rate} to {rate} Hz")
    if source.channels > 1:
        done.append(f"{source.channels} channels averaged")
    return ", ".join(done)


def read_blocks(source: Source, rate: int) -> Iterator[np.ndarray]:
    """Yield mono float32 blocks at ``rate`` Hz, of at most ``BLOCK_SECONDS``.

    Raises:
        AudioError: the file is truncated, or has samples that are NaN, infinite or too large.
    """
    yield from resampled(_mono_blocks(source), source.rate, rate)


def resampled(blocks: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    """Blocks (samples,) float32 at ``rate`` Hz -> blocks at ``wanted`` Hz."""
    if rate == wanted:
        yield from blocks
        return
    stream = package("soxr").ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _mono_blocks(source: Source) -> Iterator[np.ndarray]:
    from espnet_robust.data.audio import check_samples

    for block in source.blocks(BLOCK_SECONDS * source.rate):
        check_samples(block, source.path)
        yield block.mean(1) if source.channels > 1 else block[:, 0]


def with_progress(blocks: Iterator[np.ndarray], source: Source, rate: int) -> Iterator[np.ndarray]:
    """Yield ``blocks``, with a progress bar if stderr is a terminal and the file is long."""
    shown = source.seconds > 60 and sys.stderr.isatty()
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if shown:
            share = min(1.0, done / rate / source.seconds)
            bar = "#" * round(30 * share)
            end = "\n" if share == 1 else ""
            print(f"\r{source.path.name} [{bar:<30}] {share:4.0%}", end=end, file=sys.stderr)
