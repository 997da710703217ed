"""Read and write speech: mono float32 in [-1, 1] in memory; FLAC, WAV or Kaldi ark on disk.

``entries.py`` describes what an entry of ``wav.scp`` may be.
"""

import io
import warnings
from collections.abc import Iterator
from math import gcd
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from espnet_robust.common.errors import AudioError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.entries import OpenAudio, open_entry

RATE = 16000  # Hz; every model here uses it
_LOUDEST = 2.0**31  # full scale of 32 bits, in case someone forgot to divide by it
_SILENT = 1e-9  # squared peak; the distortion engine can use nothing as faint (collection.py)
_BLOCK = 1 << 16  # samples read at a time where all are checked
_MARGIN = 0.05  # s read on each side of a crop to be resampled: longer than soxr's filters


class AudioInfo(NamedTuple):
    num_samples: int  # per channel
    rate: int  # Hz
    channels: int

    def num_samples_at(self, rate: int) -> int:
        """The number of samples that ``read_audio`` returns at another rate."""
        return self.num_samples * rate // self.rate


def audio_info(entry: str | Path, *, allow_pipe: bool = False) -> AudioInfo:
    """Length, rate and channels from the header; audio without a known length is decoded to count.

    The header of a FLAC file does not show whether its end is there; ``check_audio`` does.

    Raises:
        AudioError: missing, not audio, of zero length, cut off (but for FLAC), or a pipe that is
            not allowed.
    """
    with open_entry(entry, allow_pipe) as f:
        return AudioInfo(f.frames, f.rate, f.channels)


def read_audio(
    entry: str | Path,
    *,
    rate: int = RATE,
    start: int = 0,
    num_samples: int | None = None,
    on_rate: str = "resample",
    allow_pipe: bool = False,
) -> np.ndarray:
    """Read mono audio, or a crop of it without decoding the rest.

    Args:
        entry: as in ``wav.scp``.
        rate: Hz of the result.
        start: first sample, counted at ``rate``.
        num_samples: length at ``rate``; None reads to the end.
        on_rate: what to do with a file of another rate: "resample" (soxr) or "refuse".
        allow_pipe: whether commands may be run.

    Returns:
        (samples,) float32 in [-1, 1] (files of floats may exceed it).

    Raises:
        AudioError: missing, not audio, empty, truncated, stereo, samples that are NaN, infinite
            or too large for sound, a rate that is refused, or a crop outside the file.
    """
    assert on_rate in ("resample", "refuse"), on_rate
    with open_entry(entry, allow_pipe) as f:
        _need_mono(f, entry)
        if f.rate != rate and on_rate == "refuse":
            raise AudioError(
                f"{entry}: {f.rate} Hz, need {rate} Hz; resample it or allow resampling"
            )
        return _read(f, entry, rate, start, num_samples)


def read_channels(entry: str | Path, *, rate: int = RATE, allow_pipe: bool = False) -> np.ndarray:
    """Read audio of any number of channels, resampled to ``rate``.

    Returns:
        (samples,), or (samples, channels) if there are several channels; float32.

    Raises:
        AudioError: as for ``read_audio``.
    """
    with open_entry(entry, allow_pipe) as f:
        return _read(f, entry, rate, 0, None)


def check_audio(
    entry: str | Path, *, allow_pipe: bool = False, mono: bool = True, allow_silent: bool = True
) -> AudioInfo:
    """Check an audio file as cheaply as possible: its header and its last sample; every sample
    only if they are floats, which can be NaN.

    Args:
        mono: refuse audio of several channels.
        allow_silent: accept audio in which nothing is to be heard. If not, samples are also read
            from the start, up to the first sound.

    Raises:
        AudioError: as for ``read_audio``, or it is silent and must not be.
    """
    with open_entry(entry, allow_pipe) as f:
        if mono:
            _need_mono(f, entry)
        if f.may_be_nan:
            sounds = max(map(_loud, _blocks(f, entry)))  # not any(), which would stop at the first
        else:
            sounds = allow_silent or any(map(_loud, _blocks(f, entry)))
            _decode(f, entry, f.frames - 1, 1)
        if not (allow_silent or sounds):
            raise AudioError(
                f"{entry}: silent from start to end; remove the file, or replace it by a recording"
            )
        return AudioInfo(f.frames, f.rate, f.channels)


def check_samples(wav: np.ndarray, name: str | Path) -> None:
    """Raise AudioError if samples (any shape, float32) are NaN, infinite or too large for sound."""
    # One NaN or infinity shows in the energy, which is far cheaper than checking every sample.
    with np.errstate(all="ignore"):
        energy = np.vdot(wav, wav)
    if energy <= _LOUDEST**2:  # false for NaN
        return
    if not np.isfinite(wav).all():
        raise AudioError(f"{name}: NaN or infinite samples")
    if (peak := np.abs(wav).max()) > _LOUDEST:
        raise AudioError(f"{name}: a sample of {peak:.3g}; 1 is full scale, so this is not sound")


def resample(wav: np.ndarray, rate_in: float, rate_out: float) -> np.ndarray:
    """(samples,) -> (samples * rate_out / rate_in,), by soxr at high quality (HQ)."""
    return soxr.resample(wav, rate_in, rate_out, quality="HQ")


def to_int16(wav: np.ndarray) -> np.ndarray:
    """float in [-1, 1] -> the int16 samples to be stored; 1.0 becomes 32767.

    Reading them gives ``to_int16(wav) / 32768`` exactly.
    """
    return np.clip(np.rint(wav * 32768.0), -32768, 32767).astype(np.int16)


def fit_range(wav: np.ndarray, name: str | Path, clip: str = "scale") -> np.ndarray:
    """Bring samples into [-1, 1] so that integers can hold them.

    Args:
        wav: (samples,) float.
        name: what to call it in a message.
        clip: "scale" turns the whole signal down, with a warning; "refuse" raises.

    Raises:
        AudioError: the peak exceeds 1 and ``clip`` is "refuse"; NaN or infinite samples.
    """
    assert clip in ("scale", "refuse"), clip
    peak = float(np.max(np.abs(wav)))
    if not np.isfinite(peak):
        raise AudioError(f"{name}: NaN or infinite samples")
    if peak <= 1.0:
        return wav
    if clip == "refuse":
        raise AudioError(f"{name}: peak {peak:.2f} exceeds full scale; turn it down before writing")
    warnings.warn(f"{name}: peak {peak:.2f} exceeds full scale, turned down", stacklevel=2)
    return wav / peak


def encode_audio(
    wav: np.ndarray,
    name: str,
    *,
    rate: int = RATE,
    subtype: str = "PCM_16",
    clip: str = "scale",
) -> bytes:
    """The bytes of a FLAC or WAV file, according to the suffix of ``name``.

    Raises:
        AudioError: empty, not mono, NaN, above full scale with ``clip="refuse"``, or a suffix
            other than .flac and .wav.
    """
    kind = Path(name).suffix[1:].upper()
    if kind not in ("FLAC", "WAV"):
        raise AudioError(
            f"{name}: can write .flac and .wav, not {Path(name).suffix or 'no suffix'}"
        )
    if wav.ndim != 1 or not wav.size:
        raise AudioError(f"{name}: need mono audio with at least one sample, got shape {wav.shape}")
    wav = fit_range(wav, name, clip)
    buffer = io.BytesIO()
    # Our own rounding: libsndfile scales by 32767 on the way out and by 32768 on the way in.
    data = to_int16(wav) if subtype == "PCM_16" else wav
    soundfile.write(buffer, data, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def write_audio(
    path: str | Path,
    wav: np.ndarray,
    *,
    rate: int = RATE,
    subtype: str = "PCM_16",
    clip: str = "scale",
) -> None:
    """Write (samples,) float in [-1, 1] as FLAC or WAV, by the suffix, whole or not at all.

    Raises:
        AudioError: as for ``encode_audio``, or the file cannot be written (disk full).
    """
    data = encode_audio(wav, str(path), rate=rate, subtype=subtype, clip=clip)
    try:
        write_atomic(path, data)
    except OSError as e:
        raise AudioError(f"{path}: cannot be written: {e.strerror}") from None


def _need_mono(f: OpenAudio, entry: str | Path) -> None:
    if f.channels != 1:
        raise AudioError(f"{entry}: {f.channels} channels, need mono; fix: sox IN OUT remix 1")


def _blocks(f: OpenAudio, entry: str | Path) -> Iterator[np.ndarray]:
    for start in range(0, f.frames, _BLOCK):
        yield _decode(f, entry, start, min(_BLOCK, f.frames - start))


def _loud(wav: np.ndarray) -> bool:
    return float(np.abs(wav).max()) ** 2 > _SILENT


def _read(
    f: OpenAudio, entry: str | Path, rate: int, start: int, num_samples: int | None
) -> np.ndarray:
    total = AudioInfo(f.frames, f.rate, 1).num_samples_at(rate)
    if num_samples is None:
        num_samples = total - start
    if start < 0 or num_samples < 1 or start + num_samples > total:
        raise AudioError(
            f"{entry}: asked for samples {start} to {start + num_samples}, but it has {total}"
        )
    if f.rate == rate:
        return _decode(f, entry, start, num_samples)
    return _decode_resampled(f, entry, rate, start, num_samples)


def _decode(f: OpenAudio, entry: str | Path, start: int, num_samples: int) -> np.ndarray:
    wav = f.read(start, num_samples)
    if len(wav) < num_samples:
        raise AudioError(f"{entry}: truncated after {start + len(wav)} of {f.frames} samples")
    check_samples(wav, entry)
    return wav


def _decode_resampled(
    f: OpenAudio, entry: str | Path, rate: int, start: int, num_samples: int
) -> np.ndarray:
    """Decode the crop with a margin, from a point where both rates have a sample; resample it."""
    common = gcd(f.rate, rate)
    step_in, step_out = f.rate // common, rate // common
    margin = int(_MARGIN * common) + 1
    first = max(0, start // step_out - margin)
    last = min(f.frames, (-(-(start + num_samples) // step_out) + margin) * step_in)
    wav = _decode(f, entry, first * step_in, last - first * step_in)
    skip = start - first * step_out
    return np.ascontiguousarray(resample(wav, f.rate, rate)[skip : skip + num_samples])
