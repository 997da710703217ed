"""Write small corpora in their published layouts, with the stray files that archives contain."""

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from espnet_robust.corpora.espeak import speak
from espnet_robust.corpora.layout import PARTS
from espnet_robust.data.audio import RATE

VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-us+f3", "en-gb+f2", "en-us+m3", "en-gb+m7")


@dataclass(frozen=True)
class Speech:
    """An utterance spoken by espeak-ng.

    Args:
        text: its words.
        speaker: decides the voice.
        channels: number of channels; all have the same speech, at different levels.
        silence: length of the faint noise that follows it, in seconds.
    """

    text: str
    speaker: str
    channels: int = 1
    silence: float = 0.0

    def samples(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        number = zlib.crc32(self.speaker.encode())
        wav = speak(
            self.text.lower(), VOICES[number % len(VOICES)], rate=170 + number % 40,
            pitch=30 + number % 41,
        )  # fmt: skip
        wav = np.concatenate([wav, np.zeros(round(self.silence * RATE))])
        wav = wav[:, None] * np.linspace(1, 0.7, self.channels)
        return wav + 1e-3 * rng.standard_normal(wav.shape), RATE


@dataclass(frozen=True)
class Noise:
    """Coloured noise of ``seconds``, independent in each channel."""

    seconds: float = 2.0
    rate: int = RATE
    channels: int = 1

    def samples(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        white = rng.standard_normal((round(self.seconds * self.rate), self.channels))
        slope = np.fft.rfft(white, axis=0)
        slope /= np.sqrt(1 + np.arange(len(slope)))[:, None]
        wav = np.fft.irfft(slope, n=len(white), axis=0)
        return 0.3 * wav / np.abs(wav).max(), self.rate


@dataclass(frozen=True)
class Response:
    """The impulse response of a room with this RT60 (s): a direct path, then decaying noise."""

    rt60: float = 0.4
    rate: int = RATE
    channels: int = 1

    def samples(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        time = np.arange(round(self.rt60 * self.rate)) / self.rate
        decay = 10 ** (-3 * time / self.rt60)
        wav = 0.1 * decay[:, None] * rng.standard_normal((len(time), self.channels))
        wav[0] = 0.9
        return wav, self.rate


Content = str | bytes | Speech | Noise | Response
Tree = Mapping[str, Content]


def write_tree(root: Path, tree: Tree) -> Path:
    """Write the files of a tree, together with those that macOS leaves in archives."""
    for name, content in (dict(tree) | _left_by_macos(tree)).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="latin-1" if "EmoEvaluation" in name else "utf-8")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            wav, rate = content.samples(np.random.default_rng(zlib.crc32(name.encode())))
            sphere = {"format": "NIST", "subtype": "PCM_16", "endian": "BIG"}
            soundfile.write(path, wav, rate, **(sphere if path.suffix == ".sph" else {}))
    return root


def _left_by_macos(tree: Tree) -> dict[str, bytes]:
    """A .DS_Store at the top, and in each directory a "._NAME" for its first file."""
    firsts = {str(Path(name).parent): name for name in sorted(tree, reverse=True)}
    apple_double = struct.pack(">II16sH", 0x00051607, 0x00020000, b"Mac OS X", 0)
    hidden = {Path(name) for name in firsts.values()}
    return {".DS_Store": b"\0\0\0\1Bud1"} | {
        str(path.with_name(f"._{path.name}")): apple_double for path in hidden
    }


def in_each_part(names: Iterable[str], part_of: Callable[[str], str], each: int = 1) -> list[str]:
    """The first names that fall into each part of a corpus without official parts.

    A small tree with arbitrary names might have no file for dev or test.
    """
    kept: dict[str, list[str]] = {part: [] for part in PARTS}
    for name in names:
        if len(kept[part := part_of(name)]) < each:
            kept[part].append(name)
        if all(len(found) == each for found in kept.values()):
            break
    else:
        raise ValueError(f"too few names for {each} in each part: {kept}")
    return sorted(name for found in kept.values() for name in found)
