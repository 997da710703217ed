"""The names of the kinds, as used in YAMLs and in ``utt2distortion``."""

from espnet_robust.distortion.additive import Babble, Coloured, Noise, White
from espnet_robust.distortion.band import BandLimit, BandReject
from espnet_robust.distortion.base import Kind
from espnet_robust.distortion.codec import Codec
from espnet_robust.distortion.room import Rir
from espnet_robust.distortion.simple import Clean, Clip, Dropout, Gain
from espnet_robust.distortion.sox_effects import SoxPitch, SoxReverb, SoxSinc
from espnet_robust.distortion.timescale import Pitch, Speed

KINDS: dict[str, type[Kind]] = {
    "clean": Clean,
    "noise": Noise,
    "white": White,
    "coloured": Coloured,
    "babble": Babble,
    "rir": Rir,
    "band_reject": BandReject,
    "band_limit": BandLimit,
    "pitch": Pitch,
    "speed": Speed,
    "clip": Clip,
    "dropout": Dropout,
    "gain": Gain,
    "codec": Codec,
    "sox_reverb": SoxReverb,
    "sox_pitch": SoxPitch,
    "sox_sinc": SoxSinc,
}
