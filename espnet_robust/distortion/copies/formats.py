"""The audio formats of a copy: one writer each, all with the same interface.

A writer takes the utterances of one shard, in order, and then returns their ``wav.scp`` entries.
"""

import re
import shlex
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import kaldiio
import numpy as np

from espnet_robust.common.errors import AudioError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.audio import RATE, audio_info, encode_audio, to_int16
from espnet_robust.data.data_dir import iter_table

# Ids that are portable file names; utterances with other ids get a two-digit name.
_FILE_NAME = re.compile(r"(?!\d\d$)\w[\w.-]{0,150}", re.ASCII)
_FLAC_ARK = {"write_function": "soundfile", "write_kwargs": {"format": "flac"}}


class Place(NamedTuple):
    """Where one shard goes.

    Args:
        partial: the directory in which the copy grows.
        copy: the finished data dir.
        number: number of the shard.
        allow_pipe: whether the source's audio may be commands.
    """

    partial: Path
    copy: Path
    number: int
    allow_pipe: bool


class Stored(NamedTuple):
    """What a writer wrote: ``wav.scp`` entries, in order, and files, relative to the copy."""

    entries: list[str]
    files: list[str]


class Writer(Protocol):
    """Stores one shard. ``stores_audio``: whether ``add`` needs the samples."""

    stores_audio: bool

    def add(self, utt: str, wav: np.ndarray | None) -> None:
        """Take the next utterance: (samples,) float32 in [-1, 1] at 16 kHz.

        Raises:
            AudioError: the audio cannot be used, or the disk could not store it.
        """

    def finish(self) -> Stored:
        """Complete the shard."""


class FileWriter:
    """One file per utterance, 16-bit .flac or .wav."""

    stores_audio = True

    def __init__(self, place: Place, suffix: str):
        self.place = place
        self.suffix = suffix
        self.folder = Path("audio") / f"{place.number:06d}"
        (place.partial / self.folder).mkdir(parents=True, exist_ok=True)
        self.files: list[str] = []

    def add(self, utt: str, wav: np.ndarray | None) -> None:
        assert wav is not None, "this writer stores audio"
        name = utt if _FILE_NAME.fullmatch(utt) else f"{len(self.files):02d}"
        file = self.folder / f"{name}.{self.suffix}"
        path = self.place.partial / file
        write_atomic(path, encode_audio(wav, str(path)), durable=False)
        if audio_info(path).num_samples != len(wav):
            raise AudioError(f"{path}: reads back differently; is the disk full or failing?")
        self.files.append(str(file))

    def finish(self) -> Stored:
        return Stored([str(self.place.copy / file) for file in self.files], self.files)


class ArkWriter:
    """One Kaldi ark per shard, with kaldiio's WAV or FLAC records."""

    stores_audio = True

    def __init__(self, place: Place, codec: dict):
        self.place = place
        self.codec = codec
        self.pcm: dict[str, np.ndarray] = {}

    def add(self, utt: str, wav: np.ndarray | None) -> None:
        assert wav is not None, "this writer stores audio"
        self.pcm[utt] = to_int16(wav)

    def finish(self) -> Stored:
        name = f"audio/{self.place.number:06d}.ark"
        ark = self.place.partial / name
        ark.parent.mkdir(exist_ok=True)
        temporary, scp = ark.with_suffix(".tmp"), ark.with_suffix(".scp")
        records = {utt: (RATE, samples) for utt, samples in self.pcm.items()}
        kaldiio.save_ark(str(temporary), records, scp=str(scp), **self.codec)
        offsets = [entry.rpartition(":")[2] for _, entry in iter_table(scp)]
        for offset, samples in zip(offsets, self.pcm.values(), strict=True):
            if audio_info(f"{temporary}:{offset}").num_samples != len(samples):
                raise AudioError(f"{temporary}: reads back differently; is the disk failing?")
        scp.unlink()
        temporary.replace(ark)
        return Stored([f"{self.place.copy / name}:{offset}" for offset in offsets], [name])


class PipeWriter:
    """No audio: commands that make it when they are read."""

    stores_audio = False

    def __init__(self, place: Place):
        self.place = place
        self.entries: list[str] = []

    def add(self, utt: str, wav: np.ndarray | None) -> None:
        command = [sys.executable, "-m", "espnet_robust.bin.remake_utterance"]
        command += ["--allow_pipe"] * self.place.allow_pipe
        # AudioSet ids may begin with "-".
        command += ["--", str(self.place.copy), utt, "-"]
        self.entries.append(" ".join(map(shlex.quote, command)) + " |")

    def finish(self) -> Stored:
        return Stored(self.entries, [])


FORMATS: Mapping[str, Callable[[Place], Writer]] = {
    "flac": partial(FileWriter, suffix="flac"),
    "wav": partial(FileWriter, suffix="wav"),
    "ark": partial(ArkWriter, codec={}),
    "flac.ark": partial(ArkWriter, codec=_FLAC_ARK),
    "pipe": PipeWriter,
}
