"""Open an entry of ``wav.scp``, or any audio file, as complete audio of known length.

An entry is an audio file, ``file.ark:offset`` as written by kaldiio or Kaldi, or a shell command
ending in ``|`` whose output is an audio file. A suffix ``[start:end]``, in seconds, selects a
segment (an end of -1 is the end of the recording), and ``[start:end,channel]`` a segment of one
channel, counted from 0. These suffixes exist in memory only; on disk they are the file
``segments``.
"""

import contextlib
import io
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from espnet_robust.common.errors import AudioError
from espnet_robust.data.containers import FORMATS, why_cut_off, with_open_length
from espnet_robust.data.mp3 import to_decode

RATES = (4_000, 384_000)  # Hz; a rate outside this range is taken for a faulty header
_ARK = re.compile(r"(.+):(\d+)")
_SEGMENT = re.compile(r"(.+)\[([\d.]+):(-1|[\d.]+)(?:,(\d+))?\]", re.DOTALL)
_ROUNDING = Fraction(1, 100)  # s by which a segment may end late: times are often rounded to 10 ms
_UNKNOWN = 2**63 - 1  # libsndfile's count for a FLAC file whose header leaves it open
_BLOCK = 1 << 20  # samples decoded at a time if the length is unknown


@dataclass(frozen=True)
class OpenAudio:
    """A recording, or a segment of one, open for reading.

    Args:
        file: the whole recording.
        first: its sample at which the audio begins.
        frames: length of the audio in samples.
        channels: how many it has.
        channel: the only channel wanted, counted from 0; None: all.
    """

    file: soundfile.SoundFile
    first: int
    frames: int
    channels: int
    channel: int | None = None

    @property
    def rate(self) -> int:
        """Hz."""
        return self.file.samplerate

    @property
    def may_be_nan(self) -> bool:
        """Whether the samples are stored as floats."""
        return self.file.subtype in ("FLOAT", "DOUBLE")

    def read(self, start: int, num_samples: int) -> np.ndarray:
        """(samples,) or (samples, channels) float32; fewer if the file ends too early."""
        if self.file.tell() != self.first + start:
            self.file.seek(self.first + start)
        wav = self.file.read(num_samples, dtype="float32")
        return wav if self.channel is None or wav.ndim == 1 else wav[:, self.channel]


def segment_entry(recording: str, start: str, end: str, channel: str | None = None) -> str:
    """
    >>> segment_entry("a.wav", "0.5", "-1")
    'a.wav[0.5:-1]'
    """
    return f"{recording}[{start}:{end}{f',{channel}' if channel else ''}]"


def is_pipe(entry: str) -> bool:
    """Whether the entry is a command."""
    segment = _SEGMENT.fullmatch(entry)
    return (segment[1] if segment else entry).rstrip().endswith("|")


@contextlib.contextmanager
def open_entry(entry: str | Path, allow_pipe: bool) -> Iterator[OpenAudio]:
    """Open the audio of an entry. That a FLAC file is truncated shows only when its end is read.

    Raises:
        AudioError: missing, not audio, without samples, truncated, an implausible rate, a command
            that is not allowed or fails, or a segment outside the recording.
    """
    entry = str(entry)
    segment = None if os.path.exists(entry) else _SEGMENT.fullmatch(entry)
    recording = segment[1] if segment else entry
    with _errors_of(entry), contextlib.ExitStack() as stack:
        source = _source(recording, allow_pipe)
        f = stack.enter_context(soundfile.SoundFile(source))
        complete = _checked(f, source, recording)
        if not complete.counted:
            f = stack.enter_context(soundfile.SoundFile(_decoded(complete, f, recording)))
        elif complete.source is not source:
            f = stack.enter_context(soundfile.SoundFile(complete.source))
        yield _segment(f, entry, segment) if segment else OpenAudio(f, 0, f.frames, f.channels)


@dataclass(frozen=True)
class InOrder:
    """A complete audio file that is only read from its start to its end, in little memory: that
    of a block and, if an MP3 or WAV file lacks its length, that of the file as it is on disk.

    Attributes:
        frames: samples per channel.
        rate: Hz.
    """

    path: Path
    frames: int
    rate: int
    channels: int
    _audio: "_Complete"

    def blocks(self, num_samples: int) -> Iterator[np.ndarray]:
        """Yield (samples, channels) float32, ``num_samples`` in each but the last.

        Raises:
            AudioError: damaged, or it has fewer samples than its header promises.
        """
        done = 0
        with _errors_of(str(self.path)):
            for block in self._audio.blocks(num_samples):
                done += len(block)
                yield block
        if done < self.frames:
            raise AudioError(f"{self.path}: truncated after {done} of {self.frames} samples")


def in_order(path: Path) -> InOrder:
    """Check an audio file as ``open_entry`` does; one of unknown length is decoded to count.

    Raises:
        AudioError: as for ``open_entry``.
    """
    name = str(path)
    if not path.is_file():
        raise AudioError(f"{name}: no such file")
    with _errors_of(name), soundfile.SoundFile(_not_empty(name)) as f:
        complete = _checked(f, name, name)
        frames = complete.count()
        if not frames:
            raise AudioError(f"{name}: no samples in it")
        return InOrder(path, frames, f.samplerate, f.channels, complete)


@contextlib.contextmanager
def _errors_of(entry: str) -> Iterator[None]:
    """Turn errors of the system and of libsndfile into an AudioError that names the entry."""
    try:
        yield
    except OSError as e:
        raise AudioError(f"{entry}: cannot be read: {e.strerror or e}") from None
    except soundfile.LibsndfileError as e:
        raise AudioError(f"{entry}: not audio, damaged or truncated: {e.error_string}") from None


def _check_rate(f: soundfile.SoundFile, name: str) -> None:
    low, high = RATES
    if not low <= f.samplerate <= high:
        raise AudioError(
            f"{name}: its header says {f.samplerate} Hz; rates must be from {low} to {high} Hz"
        )


def _segment(f: soundfile.SoundFile, entry: str, segment: re.Match) -> OpenAudio:
    """The samples from ``start`` to ``end``, both rounded down to a whole sample, as in Kaldi."""
    start, end = Fraction(segment[2]), Fraction(segment[3])
    channel = int(segment[4]) if segment[4] else None
    has = f"the recording has {f.frames / f.samplerate:.2f} s"
    if end < 0:
        end = Fraction(f.frames, f.samplerate)
    if start * f.samplerate >= f.frames:
        raise AudioError(f"{entry}: the segment begins after the end; {has}")
    if start >= end:
        raise AudioError(f"{entry}: the segment ends before it begins")
    if end * f.samplerate > f.frames + _ROUNDING * f.samplerate:
        raise AudioError(f"{entry}: the segment ends after the end; {has}")
    first, last = int(start * f.samplerate), min(int(end * f.samplerate), f.frames)
    if last == first:
        raise AudioError(f"{entry}: the segment is shorter than one sample")
    if channel is not None and channel >= f.channels:
        raise AudioError(f"{entry}: no channel {channel}; it has {f.channels}, counted from 0")
    return OpenAudio(f, first, last - first, f.channels if channel is None else 1, channel)


class _Forward(soundfile.SoundFile):
    """A file that is read once from its start; soundfile would seek after each read."""

    def seekable(self) -> bool:
        return False


@dataclass(frozen=True)
class _Complete:
    """Audio that has been found to be complete; FLAC is taken for complete until it is decoded.

    Attributes:
        source: a file on disk or in memory.
        counted: whether libsndfile knows its length.
        early: leading samples that do not belong to it.
    """

    source: str | io.BytesIO
    counted: bool = True
    early: int = 0

    def count(self) -> int:
        """Samples per channel."""
        if not self.counted:
            return sum(map(len, self.blocks(_BLOCK)))
        with soundfile.SoundFile(self.source) as f:
            return f.frames

    def blocks(self, num_samples: int) -> Iterator[np.ndarray]:
        """Decode to the end, whatever the header says: (samples, channels) float32."""
        if not isinstance(self.source, str):
            self.source.seek(0)
        with _Forward(self.source) as f:
            if self.early:
                f.read(self.early)
            found = num_samples
            while found == num_samples:
                block = f.read(num_samples, dtype="float32", always_2d=True)
                found = len(block)
                if found:
                    yield block


def _checked(f: soundfile.SoundFile, source: str | io.BytesIO, entry: str) -> _Complete:
    """What to decode to get all of the audio in ``source``, which ``f`` has opened.

    Raises:
        AudioError: an implausible rate, truncated (but for FLAC), without samples, or in a
            container that cannot show which.
    """
    _check_rate(f, entry)
    if f.format not in FORMATS:
        raise AudioError(f"{entry}: {f.format} is not supported; fix: sox IN OUT.flac")
    if f.format == "MP3":
        whole = _all_of(source)
        data, early, reason = to_decode(whole)
        found = _Complete(source if data is whole else io.BytesIO(data), False, early)
    elif f.format == "FLAC":  # that its end is missing shows only when that is decoded
        reason, found = None, _Complete(source, f.frames != _UNKNOWN)
    else:
        reason, found = _with_bytes(source, why_cut_off), _Complete(source)
        if f.frames < 1 and not reason and (longer := with_open_length(_all_of(source))):
            found = _Complete(io.BytesIO(longer))
    if reason:
        raise AudioError(f"{entry}: truncated: {reason}")
    if f.frames < 1 and found.counted and found.source is source:
        raise AudioError(f"{entry}: no samples in it")
    return found


def _decoded(complete: _Complete, f: soundfile.SoundFile, entry: str) -> io.BytesIO:
    """Decode to the end into a float WAV file in memory, of the rate of ``f``."""
    blocks = list(complete.blocks(_BLOCK))
    if not blocks:
        raise AudioError(f"{entry}: no samples in it")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.concatenate(blocks), f.samplerate, format="WAV", subtype="FLOAT")
    buffer.seek(0)
    return buffer


def _with_bytes(source: str | io.BytesIO, function: Callable) -> Any:
    """Call ``function(read, size)`` on the bytes of a file on disk or in memory."""
    if not isinstance(source, str):
        data = source.getbuffer()
        return function(lambda start, n: bytes(data[start : start + n]), len(data))
    f = os.open(source, os.O_RDONLY)
    try:
        return function(lambda start, n: os.pread(f, n, start), os.fstat(f).st_size)
    finally:
        os.close(f)


def _all_of(source: str | io.BytesIO) -> bytes:
    return Path(source).read_bytes() if isinstance(source, str) else source.getvalue()


def _source(entry: str, allow_pipe: bool) -> str | io.BytesIO:
    if entry.rstrip().endswith("|"):
        return io.BytesIO(_run_pipe(entry, allow_pipe))
    if os.path.exists(entry):
        return _not_empty(entry)
    ark = _ARK.fullmatch(entry)
    if ark:
        return io.BytesIO(_ark_item(entry, ark[1], int(ark[2])))
    raise AudioError(f"{entry}: no such file")


def _not_empty(path: str) -> str:
    if os.path.getsize(path) == 0:
        raise AudioError(f"{path}: empty file")
    return path


def _run_pipe(entry: str, allow_pipe: bool) -> bytes:
    if not allow_pipe:
        raise AudioError(
            f"{entry}: a command, but only files are read here; write its output to disk first"
        )
    done = subprocess.run(entry.rstrip()[:-1], shell=True, capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise AudioError(f"{entry}: the command failed with status {done.returncode}: {last}")
    return done.stdout


def _ark_item(entry: str, path: str, offset: int) -> bytes:
    """The audio file at ``offset`` in an ark: bare WAV, or kaldiio's AUDIO record."""
    with open(path, "rb") as f:
        f.seek(offset)
        head = f.read(8)
        if head[:5] == b"AUDIO" and len(head) > 5:
            f.seek(offset + 6)
            length = int.from_bytes(f.read(head[5]), "little")
        elif head[:4] == b"RIFF":
            length = 8 + int.from_bytes(head[4:8], "little")
            f.seek(offset)
        else:
            raise AudioError(f"{entry}: no audio at this offset of the ark")
        data = f.read(length)
    if len(data) < length:
        raise AudioError(f"{entry}: truncated after {len(data)} of {length} bytes")
    return data
