"""What is to be made."""

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
        dst: data dir to be written; one that is there is replaced.
        distorter: what to do.
        config: what the distorter was read from, for the record.
        condition: what scoring calls the copy.
        seed: for all draws.
        format: one of ``FORMATS``.
        allow_pipe: whether commands in the ``wav.scp`` of ``src`` may be run.
        hash_audio: read all audio to see whether it changed, whatever its files' sizes and times.
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
        """Where the copy grows."""
        return self.dst.with_name(f".{self.dst.name}.partial")
