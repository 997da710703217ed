"""Speech from espeak-ng (GPL-3.0-or-later; its output is not covered by that licence)."""

import re
import shutil
import subprocess
from collections.abc import Iterable

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.data.audio import RATE, resample

WAV_HEADER = 44  # bytes
SILENCE = 0.01  # relative to the peak; anything below is espeak-ng's padding
AMPLITUDE = 50  # in 0..200: loud timbres clip at the default of 100


def version(accents: Iterable[str] = (), variants: Iterable[str] = ()) -> str:
    """The version of espeak-ng on the PATH, e.g. "1.51", after checking that it has these voices.

    (If it lacks a variant, espeak-ng silently speaks without it.)

    Raises:
        UserError: espeak-ng is not installed, or lacks a voice.
    """
    if shutil.which("espeak-ng") is None:
        raise UserError(
            "espeak-ng, which speaks the mini corpus, is not installed: apt-get install espeak-ng"
        )
    installed = _ask("--version").partition("text-to-speech:")[2].split()[0]
    known = {"en", *_ask("--voices=en").split()}  # "en" itself is listed as en-gb
    known.update(re.findall(r"!v/(\S+)", _ask("--voices=variant")))
    if missing := {*accents, *variants} - known:
        raise UserError(f"espeak-ng {installed} lacks the voice {min(missing)}; 1.51 has it")
    return installed


def _ask(option: str) -> str:
    return subprocess.run(["espeak-ng", option], capture_output=True, text=True, check=True).stdout


def speak(text: str, voice: str, *, rate: int, pitch: int) -> np.ndarray:
    """Speech without silence around it, (samples,) float32 at 16 kHz.

    Args:
        voice: espeak-ng's ACCENT+VARIANT
        rate: words per minute
        pitch: 0..99
    """
    options = ["-v", voice, "-s", str(rate), "-p", str(pitch), "-a", str(AMPLITUDE)]
    done = subprocess.run(["espeak-ng", *options, "--stdout", text], capture_output=True)
    if done.returncode != 0 or len(done.stdout) <= WAV_HEADER:
        message = done.stderr.decode(errors="replace").strip()
        raise UserError(f"espeak-ng said nothing for {text!r} with voice {voice}: {message}")
    # On a pipe, the header's length field is meaningless, but its rate is right.
    (native_rate,) = np.frombuffer(done.stdout, "<u4", count=1, offset=24)
    wav = np.frombuffer(done.stdout, "<i2", offset=WAV_HEADER).astype(np.float32) / 2**15
    wav = resample(wav, int(native_rate), RATE)
    loud = np.flatnonzero(np.abs(wav) > SILENCE * np.abs(wav).max())
    return wav[loud[0] : loud[-1] + 1]
