"""Recognise speech while it arrives, from standard input or a microphone."""

import re
import wave
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

import numpy as np

from espnet_robust.common.errors import AudioError, ConfigError, ModelError
from espnet_robust.device.audio import resampled
from espnet_robust.device.greedy import BLANK, Word, best_path, words
from espnet_robust.device.metadata import BOUNDARY
from espnet_robust.device.runtime import Runtime, package
from espnet_robust.device.stream import stream_log_probs
from espnet_robust.device.transcriber import frame_seconds

BLOCK_S = 0.04
PAUSE_S = 0.8  # without a token: a word is over
SIXTEEN_BITS = 2  # bytes
# Bytes of samples in the header of a WAV file that goes to a pipe: at least so many for a length
# that is not known (sox writes 0x7FFFF000, rounded down to whole samples).
OPEN_LENGTH = 0x7FFF0000
# How files begin that are neither WAV nor raw samples: taken for samples, they would be noise. An
# MP3 without a tag is not among them, as its first bytes may be a quiet sample.
OTHERS = {
    b"fLaC": "FLAC", b"OggS": "OGG", b"ID3": "MP3", b"RF64": "RF64", b"RIFX": "big-endian WAV",
    b"FORM": "AIFF", b".snd": "AU",
}  # fmt: skip


def check_stream(model: Runtime, path: Path) -> None:
    """Raise ModelError if the model needs whole utterances."""
    if model.metadata.kind != "stream":
        raise ModelError(
            f"{path}: needs whole utterances; --stream needs a stream.onnx, which espnet-robust "
            "export makes from a recogniser on a causal student"
        )


def standard_input(stream: BufferedReader, raw_rate: int, rate: int) -> Iterator[np.ndarray]:
    """Blocks of mono samples at ``rate`` Hz, as soon as they arrive.

    Args:
        stream: a WAV file, or raw samples, of 16 bits.
        raw_rate: sampling rate of raw samples, which are mono, little-endian.

    Raises:
        AudioError: no samples, a WAV file that is damaged, cut off, of an implausible rate or not
            of 16 bits, or a file of another kind.
        ConfigError: soundfile is not installed.
    """
    head = stream.read(4)  # waits for all four, unlike peek
    whole = _Rejoined(head, stream)
    _check_kind(head)
    if head != b"RIFF":
        yield from _heard(resampled(_raw(whole, raw_rate), raw_rate, rate))
        return
    try:
        with wave.open(cast(IO[bytes], whole)) as file:
            _check_format(file)
            yield from _heard(resampled(_wav(file), file.getframerate(), rate))
    except (wave.Error, EOFError) as e:
        reason = str(e) or "it ends too early"
        raise AudioError(f"standard input: not readable as WAV: {reason}") from e


def _check_kind(head: bytes) -> None:
    """Raise AudioError if these first bytes are those of a file that cannot be read here."""
    for begins, kind in OTHERS.items():
        if head.startswith(begins):
            raise AudioError(
                f"standard input: {kind}, need WAV or raw samples of 16 bits; fix: "
                "sox IN -b 16 -t wav - | espnet-robust transcribe ... --stream"
            )


def _check_format(file: wave.Wave_read) -> None:
    """Raise AudioError if the samples are not of 16 bits, or their rate is implausible."""
    package("soundfile")  # the next module imports it, without a message for the user
    from espnet_robust.data.entries import RATES

    if file.getsampwidth() != SIXTEEN_BITS:
        raise AudioError(
            f"standard input: WAV of {8 * file.getsampwidth()} bits; need 16 (sox: -b 16)"
        )
    if not RATES[0] <= file.getframerate() <= RATES[1]:
        raise AudioError(
            f"standard input: WAV of {file.getframerate()} Hz; need {RATES[0]} to {RATES[1]} Hz; "
            "is its header damaged?"
        )


class _Rejoined:
    """A stream and the bytes that were read from its beginning."""

    def __init__(self, head: bytes, rest: BufferedReader):
        self._head, self._rest = head, rest

    def read(self, size: int) -> bytes:
        """``size`` bytes; fewer at the end."""
        head, self._head = self._head[:size], self._head[size:]
        return head + self._rest.read(size - len(head))


def _heard(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same blocks; AudioError if there is no sample in them."""
    samples = 0
    for block in blocks:
        samples += len(block)
        yield block
    if not samples:
        raise AudioError("standard input: no samples")


def _raw(stream: _Rejoined, rate: int) -> Iterator[np.ndarray]:
    size = SIXTEEN_BITS * round(BLOCK_S * rate)
    while data := stream.read(size):
        yield _samples(data, 1)


def _wav(file: wave.Wave_read) -> Iterator[np.ndarray]:
    """Blocks of a WAV file; AudioError if there are fewer samples than its header says."""
    size, read = SIXTEEN_BITS * file.getnchannels(), 0
    while data := file.readframes(round(BLOCK_S * file.getframerate())):
        read += len(data) // size
        yield _samples(data, file.getnchannels())
    wanted = file.getnframes()
    if read < wanted and wanted * size < OPEN_LENGTH:
        raise AudioError(f"standard input: WAV cut off after {read} of {wanted} samples")


def _samples(data: bytes, channels: int) -> np.ndarray:
    """(samples,) float32 in [-1, 1): the mean of the channels; half a frame at the end is left."""
    size = SIXTEEN_BITS * channels
    whole = np.frombuffer(data[: len(data) // size * size], "<i2").reshape(-1, channels)
    return (whole.mean(1) / 2**15).astype(np.float32)


def microphone(rate: int, note: Callable[[str], None]) -> Iterator[np.ndarray]:
    """Blocks of mono samples from the default microphone, until Ctrl-C.

    Args:
        note: called with a message if samples were lost because the machine is too slow.

    Raises:
        ConfigError: sounddevice or its library PortAudio is not installed.
        AudioError: there is no microphone, or it cannot be used.
    """
    try:
        sounddevice = package("sounddevice", "pip install sounddevice")
    except OSError as e:
        raise ConfigError(
            f"sounddevice cannot be used: {e}; fix: apt-get install libportaudio2"
        ) from e
    try:
        size = round(BLOCK_S * rate)
        with sounddevice.InputStream(
            samplerate=rate, channels=1, dtype="float32", blocksize=size
        ) as stream:
            while True:
                block, lost = stream.read(size)
                if lost:
                    note("microphone: samples were lost; this machine is too slow for the model")
                yield block[:, 0]
    except KeyboardInterrupt:
        return
    except sounddevice.PortAudioError as e:
        raise AudioError(f"microphone: {str(e).strip()}") from e


def text_as_it_comes(model: Runtime, blocks: Iterable[np.ndarray]) -> Iterator[str]:
    """The parts of the text, each as soon as the model outputs it; joined, they are the text.

    A blank between words comes before the next word.
    """
    now, begun, waiting = BLANK, False, False
    for block in stream_log_probs(model, blocks):
        for token in block.argmax(-1).tolist():
            if token not in (now, BLANK):
                for part in re.split(f"({BOUNDARY})", model.metadata.pieces[token]):
                    if part == BOUNDARY:
                        waiting = begun
                    elif part:
                        yield " " * waiting + part
                        begun, waiting = True, False
            now = token


def words_as_they_come(model: Runtime, blocks: Iterable[np.ndarray]) -> Iterator[Word]:
    """Words with times, each when the next one begins or after a pause of ``PAUSE_S``."""
    seconds = frame_seconds(model)
    tokens = best_path(stream_log_probs(model, blocks), round(PAUSE_S / seconds))
    return words(tokens, model.metadata.pieces, seconds)
