"""Show what distortions look and sound like: a page of spectrograms with audio players."""

import html
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.signal import stft

from espnet_robust.common.files import write_atomic
from espnet_robust.data.audio import RATE, write_audio
from espnet_robust.distortion.chain import Distorter
from espnet_robust.distortion.codec import CODECS

_COLUMNS = 4
_RANGE_DB = 70  # range shown below the peak of the undistorted speech

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 75em; margin: 1em auto; }}
table {{ border-collapse: collapse; }}
td {{ padding: .3em .8em; border-top: 1px solid #ccc; vertical-align: middle; }}
code {{ font-size: 85%; overflow-wrap: anywhere; }}
img {{ width: 100%; }}
</style></head><body>
<h1>{title}</h1>
<img src="{image}" alt="spectrograms of the rows below, in the same order">
<table>
{rows}
</table></body></html>
"""
_ROW = """<tr><td>{name}</td><td><audio controls preload="none" src="{file}"></audio></td>
<td><code>{record}</code></td></tr>"""


def examples(noise: str | None, rir: str | None, speech: str | None) -> dict[str, dict]:
    """Displayed name -> config, for every kind except those whose data dir is None."""
    chosen: dict[str, list] = {
        "white, 10 dB": ["white", {"snr_db": 10}],
        "pink, 10 dB": ["coloured", {"snr_db": 10, "exponent": 1}],
        "brown, 0 dB": ["coloured", {"snr_db": 0, "exponent": 2}],
    }
    if noise:
        chosen["noise, 10 dB"] = ["noise", {"noise": noise, "snr_db": 10}]
        chosen["three noises, 5 dB"] = ["noise", {"noise": noise, "snr_db": 5, "count": 3}]
    if speech:
        chosen["babble, 5 dB"] = ["babble", {"speech": speech, "snr_db": 5}]
    if rir:
        chosen["room"] = ["rir", {"rir": rir}]
    if rir and noise:
        chosen["noise in the same room, 5 dB"] = ["rir", {"rir": rir, "noise": noise, "snr_db": 5}]
    chosen |= {
        "band reject at 2 kHz": ["band_reject", {"centre_hz": 2000, "width_mel": 400}],
        "telephone band": ["band_limit", {}],
        "pitch +4 semitones": ["pitch", {"cents": 400}],
        "pitch -4 semitones": ["pitch", {"cents": -400}],
        "speed 1.25": ["speed", {"factor": 1.25}],
        "tempo 0.8": ["speed", {"factor": 0.8, "pitch": "keep", "length": "map"}],
        "clip 15 dB": ["clip", {"overdrive_db": 15}],
        "packet loss 20 %": ["dropout", {"loss": 0.2, "burst": 3}],
        "gain -20 dB": ["gain", {"gain_db": -20}],
    }
    chosen |= {f"codec {name}": ["codec", {"codec": name, "quality": 0}] for name in CODECS}
    chosen |= {
        "sox reverb": ["sox_reverb", {}],
        "sox pitch +4 semitones": ["sox_pitch", {"cents": 400}],
        "sox sinc at 2 kHz": ["sox_sinc", {"centre_hz": 2000, "width_mel": 400}],
    }
    return {name: {"chain": [{"name": kind, **p}]} for name, (kind, p) in chosen.items()}


def show(
    wav: np.ndarray, distorters: Mapping[str, Distorter], out: str | Path, *, title: str, seed: int
) -> list[str]:
    """Write ``out/index.html``, ``out/distortions.png`` and a WAV file per distortion.

    Args:
        wav: (samples,) speech at 16 kHz.
        distorters: by name, in the order to show them.
        out: directory; created if necessary.
        title: title of the page.
        seed: for the draws.

    Returns:
        The names shown, the undistorted speech first.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    shown: list[tuple[str, np.ndarray, dict]] = [("undistorted", wav, {})]
    for name, distorter in distorters.items():
        shown.append((name, *distorter(wav, name, seed=seed)))
    rows = []
    for number, (name, sound, record) in enumerate(shown):
        file = f"{number:02d}.wav"
        write_audio(out / file, sound)
        text = json.dumps(record.get("steps", []), ensure_ascii=False)
        rows.append(_ROW.format(name=html.escape(name), file=file, record=html.escape(text)))
    plot([(name, sound) for name, sound, _ in shown], out / "distortions.png")
    page = _PAGE.format(title=html.escape(title), image="distortions.png", rows="\n".join(rows))
    write_atomic(out / "index.html", page)
    return [name for name, _, _ in shown]


def plot(sounds: list[tuple[str, np.ndarray]], path: Path) -> None:
    """Plot a grid of spectrograms, all with the same scales of time, frequency and level."""
    # Imported here because it takes half a second and nothing else here needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    num_rows = -(-len(sounds) // _COLUMNS)
    figure = Figure(figsize=(4 * _COLUMNS, 2.1 * num_rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(num_rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    top = _spectrogram_db(sounds[0][1])[2].max()
    for axis in axes.flat[len(sounds) :]:
        axis.set_visible(False)
    for axis, (name, sound) in zip(axes.flat, sounds, strict=False):
        hz, seconds, level = _spectrogram_db(sound)
        image = axis.pcolormesh(
            seconds, hz / 1000, level - top, vmin=-_RANGE_DB, vmax=0, cmap="magma", rasterized=True
        )
        axis.set_title(name, fontsize=10)
        axis.label_outer()
    for axis in axes[:, 0]:
        axis.set_ylabel("kHz")
    figure.supxlabel("s", fontsize=10)
    figure.colorbar(image, ax=axes, label="dB", shrink=0.3, aspect=25)
    figure.savefig(path, dpi=80)


def _spectrogram_db(wav: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hz, seconds, spectrum = stft(wav, RATE, nperseg=512, noverlap=384, boundary=None)
    return hz, seconds, 20 * np.log10(np.abs(spectrum) + 1e-7)
