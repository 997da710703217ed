"""The description of a copy to be made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_robust.data.conditions import Condition
from espnet_robust.distortion.chain import Distorter


@dataclass(frozen=True)
class Job:
    """One copy to be made.

    Args:
        src: data dir to be distorted.
        dst: data dir to be written; an existing one is replaced.
        distorter: the distortion.
        config: what the distorter was read from, for the record.
        condition: the copy's name in scoring.
        seed: for all draws.
        format: one of ``FORMATS``.
        allow_pipe: whether commands in ``src/wav.scp`` may be run.
        hash_audio: hash all audio to see whether it changed, whatever its files' sizes and times.
    """

    src: Path
    dst: Path
    distorter: Distorter
    config: Any
    condition: Condition
    seed: int
    format: str = "flac"
    allow_pipe: bool = False
    hash_audio: bool = False

    @property
    def partial(self) -> Path:
        """The directory in which the copy grows."""
        return self.dst.with_name(f".{self.dst.name}.partial")
