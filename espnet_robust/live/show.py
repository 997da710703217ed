"""The page's results as self-contained HTML; no file is written."""

import base64
import html
import io
from collections.abc import Mapping

import numpy as np
import soundfile
from matplotlib.image import imsave

from espnet_robust.data.audio import RATE
from espnet_robust.score.page.spectrogram import LEVELS, spectrogram


def sound(title: str, wav: np.ndarray) -> str:
    """A player with a spectrogram.

    Args:
        wav: (samples,) float32 in [-1, 1] at 16 kHz.
    """
    audio, picture = io.BytesIO(), io.BytesIO()
    soundfile.write(audio, wav, RATE, format="WAV", subtype="PCM_16")
    cells = spectrogram(wav).T[::-1]  # (bands, frames), low bands at the bottom
    imsave(picture, cells, cmap="magma", vmin=0, vmax=LEVELS, format="png")
    name = html.escape(title)
    label = f"Spectrogram, {len(wav) / RATE:.1f} s, 0 to 8 kHz on a mel scale: {name}"
    return (
        f'<figure class="sound"><figcaption>{name}</figcaption>'
        f'<img alt="{label}" src="{_inline("image/png", picture)}">'
        f'<audio controls aria-label="{name}" src="{_inline("audio/wav", audio)}"></audio></figure>'
    )


def texts(heard: Mapping[str, tuple[str, str]]) -> str:
    """HTML table of {system: (text of the undistorted speech, text of the distorted speech)}."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f"<td>{html.escape(clean) or '(nothing)'}</td>"
        f"<td>{html.escape(distorted) or '(nothing)'}</td></tr>"
        for name, (clean, distorted) in heard.items()
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("system", "undistorted", "distorted")
    )
    return _table("texts", head, rows)


def layer_table(layers: Mapping[str, Mapping[int, float] | None]) -> str:
    """HTML table with bars of {system: {layer: its weight in [0, 1]}}."""
    numbers = sorted({number for shares in layers.values() if shares for number in shares})
    head = "".join(f'<th scope="col">layer {number}</th>' for number in numbers)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        + "".join(_share((shares or {}).get(number)) for number in numbers)
        + "</tr>"
        for name, shares in layers.items()
    )
    return _table("layers", f'<th scope="col">system</th>{head}', rows)


def _table(name: str, head: str, rows: str) -> str:
    """A table in a box that scrolls if the screen is too narrow."""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{name}"><table class="{name}">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _share(share: float | None) -> str:
    if share is None:
        return "<td></td>"
    percent = f"{100 * share:.0f}"
    return f'<td><span class="bar" style="width: {percent}%"></span>{percent} %</td>'


def _inline(kind: str, content: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
