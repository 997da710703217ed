"""Cache teacher targets on disk: a teacher processes each crop once, later epochs read the result.

Content-addressed: DIRECTORY/IDENTITY/ab/KEY.safetensors, where IDENTITY is a hash of everything
that decides the teachers' output (weights, configuration, target layers, precision) and KEY a hash
of the samples (``models.audio_key``). Nothing is ever stale, because a change leads to another
name.

A crop takes 2 bytes per value: an hour of speech with 3 target layers of 768 takes 0.8 GB.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.files import write_atomic
from espnet_robust.models.speech_model import SpeechModel

VERSION = 1  # of the files; part of the identity
_SCALE = ".scale"
# What transformers records in a configuration about its origin; it does not affect the output.
_ORIGIN = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype")


class TargetCache:
    """Targets of single utterances, as fp16 with one scale per tensor.

    Any number of processes may share a directory: files appear whole under their final name, and
    all writers of one name write the same content. A file that cannot be read is a miss.

    Args:
        directory: the directory for the caches of all teachers.
        identity: the hash that identifies the teachers; see ``for_teachers``.
    """

    def __init__(self, directory: str | Path, identity: str):
        self.path = Path(directory) / identity
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise ConfigError(f"target_cache {directory}: cannot be made: {e.strerror}") from e

    @classmethod
    def for_teachers(
        cls,
        directory: str | Path,
        teachers: Sequence[SpeechModel],
        layers: Sequence[int | Sequence[int]],
        precision: str = "none",
    ) -> "TargetCache":
        """The cache for the raw targets ``layers`` of ``teachers`` run in ``precision``."""
        return cls(directory, teachers_identity(teachers, layers, precision))

    def get(self, key: bytes) -> dict[str, Tensor] | None:
        """{name: float32 tensor} as given to ``put``, rounded to fp16, on the CPU; None: a miss."""
        try:
            stored = load(self._file(key).read_bytes())
        except (FileNotFoundError, SafetensorError):
            return None
        names = [name for name in stored if not name.endswith(_SCALE)]
        return {name: stored[name].float() * stored[name + _SCALE] for name in names}

    def put(self, key: bytes, targets: Mapping[str, Tensor]) -> None:
        """Store the targets of one utterance, unless they hold NaN or infinity.

        Raises:
            ConfigError: the disk is full or not writable.
        """
        if not all(bool(target.isfinite().all()) for target in targets.values()):
            return
        stored = {}
        for name, target in targets.items():
            stored[name], stored[name + _SCALE] = _to_half(target.detach().float().cpu())
        file = self._file(key)
        try:
            file.parent.mkdir(exist_ok=True)
            write_atomic(file, save(stored), durable=False)  # a damaged one is a miss
        except OSError as e:
            raise ConfigError(f"target_cache {file}: cannot be written: {e.strerror}") from e

    def _file(self, key: bytes) -> Path:
        name = key.hex()
        return self.path / name[:2] / f"{name}.safetensors"


def teachers_identity(
    teachers: Sequence[SpeechModel], layers: Sequence[int | Sequence[int]], precision: str
) -> str:
    """A hash of everything that decides the targets: 32 hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    nested = [list(layer) if isinstance(layer, Sequence) else layer for layer in layers]
    digest.update(json.dumps([VERSION, nested, precision]).encode())
    for teacher in teachers:
        config = {k: v for k, v in teacher.config.to_dict().items() if k not in _ORIGIN}
        format = [config, teacher.normalize, teacher.rate]
        digest.update(json.dumps(format, sort_keys=True, default=str).encode())
        for name, value in sorted(teacher.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            # As bytes, because numpy has no bfloat16.
            flat = value.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _to_half(x: Tensor) -> tuple[Tensor, Tensor]:
    """fp16 values in [-32768, 32768] and the power of two that restores ``x`` (float32).

    Hidden states of pre-norm teachers exceed fp16's 65504. A power of two scales exactly, and the
    largest one that fits keeps small values out of fp16's subnormal range.
    """
    peak = x.abs().amax() if x.numel() else x.new_zeros(())
    exponent = torch.frexp(peak).exponent.clamp(min=-100)
    scale = torch.ldexp(torch.ones(()), exponent - 15)
    return (x / scale).half(), scale
