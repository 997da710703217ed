"""The distortions that the page offers, each with one slider from mild to severe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet_robust.distortion import Distorter, load_distortion
from espnet_robust.distortion.collection import open_collection


@dataclass(frozen=True)
class Offer:
    """A kind of distortion and the parameter that its slider sets.

    Args:
        kind: its name in ``KINDS``.
        parameter: set by the slider; "" if there is none.
        mild, hard: its values at the two ends of the slider.
        unit: the parameter's unit.
        fixed: values of other parameters.
    """

    kind: str
    parameter: str = ""
    mild: float = 0.0
    hard: float = 0.0
    unit: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def value(self, strength: float) -> float:
        """The parameter's value at a strength in [0, 100] %."""
        share = min(max(strength, 0.0), 100.0) / 100
        return round(self.mild + (self.hard - self.mild) * share, 3)

    def said(self, strength: float) -> str:
        """The parameter, its value and its unit, as text.

        >>> Offer("clip", "overdrive_db", 3, 30, "dB").said(50)
        'overdrive_db 16.5 dB'
        """
        return f"{self.parameter} {self.value(strength):g} {self.unit}".strip()

    def distorter(self, strength: float) -> Distorter:
        """A distorter with the parameter at this strength."""
        moved = {self.parameter: self.value(strength)} if self.parameter else {}
        return load_distortion({"chain": [{"name": self.kind, **self.fixed, **moved}]})


def offers(noise: str | None, rir: str | None, speech: str | None) -> dict[str, Offer]:
    """The distortions that the page offers, by the name that it shows.

    Args:
        noise, rir, speech: data dirs of noise, room responses and voices; distortions that need
            one that is None are left out.

    Raises:
        DataDirError: one of them is not a data dir, or its ``utt2rt60`` holds no times.
    """
    for path in filter(None, (noise, rir, speech)):
        open_collection(path)  # else only "Listen" would find out, and blame the recording
    found = {}
    if noise:
        found["noise"] = Offer("noise", "snr_db", 20, -5, "dB", {"noise": noise})
    if speech:
        found["babble"] = Offer("babble", "snr_db", 20, -5, "dB", {"speech": speech})
    found["white noise"] = Offer("white", "snr_db", 30, 0, "dB")
    found["pink noise"] = Offer("coloured", "snr_db", 30, 0, "dB", {"exponent": 1})
    if rir:
        found["room"] = _room(rir)
    if rir and noise:
        both = {"rir": rir, "noise": noise}
        found["noise in a room"] = Offer("rir", "snr_db", 20, -5, "dB", both)
    return found | {
        "missing band": Offer("band_reject", "width_mel", 100, 1500, "mel"),
        "low-pass": Offer("band_limit", "high_hz", 7000, 800, "Hz", {"low_hz": 50}),
        "pitch": Offer("pitch", "cents", 0, 500, "cents"),
        "speed": Offer("speed", "factor", 1, 1.5, "", {"length": "map"}),
        "clipping": Offer("clip", "overdrive_db", 0, 30, "dB"),
        "packet loss": Offer("dropout", "loss", 0, 0.6),
        "gain": Offer("gain", "gain_db", 0, -60, "dB"),
        "MP3": Offer("codec", "quality", 1, 0, "", {"codec": "mp3"}),
        "Opus": Offer("codec", "quality", 1, 0, "", {"codec": "opus"}),
        "GSM telephone": Offer("codec", fixed={"codec": "gsm"}),
    }


def _room(rir: str) -> Offer:
    """Rooms by their reverberation time, where ``utt2rt60`` says it, or else any."""
    rooms = open_collection(rir)
    times = rooms.known_rt60.values() if rooms.has_rt60 else ()
    if not times or min(times) == max(times):
        return Offer("rir", fixed={"rir": rir})
    return Offer("rir", "rt60", min(times), max(times), "s", {"rir": rir})
