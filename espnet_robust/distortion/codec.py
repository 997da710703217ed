"""Encode speech with a low-bit-rate codec and decode it, with libsndfile, in memory."""

import io
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import soundfile

from espnet_robust.data.audio import RATE, resample, to_int16
from espnet_robust.distortion.base import Context, Kind, Values, numbers, words
from espnet_robust.distortion.timescale import fit_length


class Format(NamedTuple):
    container: str
    subtype: str  # libsndfile's name for the codec
    rate: int  # Hz, of the coded speech
    options: dict  # for soundfile.write
    has_quality: bool


# Constant-bit-rate MP3 is left out: libsndfile does not pass the encoder's delay to the decoder.
CODECS = {
    "mp3": Format("MP3", "MPEG_LAYER_III", RATE, {"bitrate_mode": "VARIABLE"}, True),
    "vorbis": Format("OGG", "VORBIS", RATE, {}, True),
    "opus": Format("OGG", "OPUS", RATE, {}, True),
    "gsm": Format("WAV", "GSM610", 8000, {}, False),
    "mulaw": Format("WAV", "ULAW", 8000, {}, False),
    "alaw": Format("WAV", "ALAW", 8000, {}, False),
    "adpcm": Format("WAV", "IMA_ADPCM", 8000, {}, False),
}


@dataclass(frozen=True, kw_only=True)
class Codec(Kind):
    """Encode and decode.

    Args:
        codec: one or a list of mp3, vorbis, opus (16 kHz), gsm, mulaw, alaw, adpcm (telephone,
            8 kHz). Opus takes ten times as long as the others.
        quality: for mp3, vorbis and opus, in [0, 1]. 0 is about 19, 26 and 7 kbit/s, 0.2 about
            26, 33 and 58.
    """

    labels: ClassVar = ("codec",)
    codec: tuple[str, ...] = field(**words(("mp3", "vorbis", "gsm", "mulaw"), tuple(CODECS)))
    quality: Values = field(**numbers([0, 0.2], low=0, high=1))

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        codec = self.codec[int(rng.integers(len(self.codec)))]
        quality = self.quality.draw(rng, context.progress)
        return {"codec": codec} | ({"quality": quality} if CODECS[codec].has_quality else {})

    @staticmethod
    def apply(wav, codec, quality=None):
        form = CODECS[codec]
        peak = max(1.0, float(np.abs(wav).max()))
        coded = wav if form.rate == RATE else resample(wav, RATE, form.rate)
        options = dict(form.options)
        if quality is not None:
            # Some of the encoders refuse 1.0.
            options["compression_level"] = min(1 - quality, 0.999)
        buffer = io.BytesIO()
        soundfile.write(
            buffer,
            to_int16(coded / np.float32(peak)),
            form.rate,
            format=form.container,
            subtype=form.subtype,
            **options,
        )
        buffer.seek(0)
        decoded, _ = soundfile.read(buffer, dtype="float32")
        if form.rate != RATE:
            decoded = resample(decoded, form.rate, RATE)
        return fit_length(decoded * np.float32(peak), len(wav))
