"""The student's targets: hidden states of one or several frozen teachers.

    teachers -> selected layers, or means over groups of layers -> normalisation

``target_layers: [4, [8, 9, 10, 11, 12]]`` selects layer 4 and the mean over layers 8 to 12 (SKILL,
arXiv:2402.16830). If there are several teachers (arXiv:2302.12757), each provides these layers.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_robust.common.errors import ModelError, TrainingError
from espnet_robust.distill.cache import TargetCache
from espnet_robust.models.audio_key import audio_key
from espnet_robust.models.padding import valid_frames
from espnet_robust.models.speech_model import SpeechModel

NORMS = ("none", "layer", "statistics")


class Targets(nn.Module):
    """Computes the targets of a batch; nothing in it is trained.

    norm         each target is
    none         the teacher's output
    layer        scaled to zero mean and unit variance over the D values of each frame (data2vec,
                 arXiv:2202.03555, section 3.3), so that all layers and frames of pre-norm
                 teachers, whose hidden states grow with depth, have the same weight
    statistics   scaled to zero mean and unit variance in each of its D dimensions, over the frames
                 of a pass over the data (``collect``), so that a few dimensions of large variance
                 do not dominate the loss

    Args:
        teachers: frozen; kept out of the module tree and hence out of checkpoints, optimizer and
            DDP. They must have the same sampling rate and frames.
        layers: layers, and groups of layers to average.
        norm: one of NORMS. Mean and deviation for ``statistics`` are buffers, so that a resumed run
            has them. They are NaN until they are collected.
        cache: where the targets of each utterance are looked up, before normalisation. Its content
            is rounded to fp16. New targets are rounded too, so that a run does not depend on what
            an earlier one left in the cache.

    Raises:
        ModelError: the teachers differ in rate or frames.
    """

    def __init__(
        self,
        teachers: Sequence[SpeechModel],
        layers: Sequence[int | Sequence[int]],
        norm: str = "none",
        cache: TargetCache | None = None,
    ):
        super().__init__()
        _check_same_frames(teachers)
        self._teachers = tuple(teachers)  # a tuple hides them from nn.Module
        self.norm = norm
        self.cache = cache
        groups = [(layer,) if isinstance(layer, int) else tuple(layer) for layer in layers]
        # {name of a target: (teacher, the layers whose mean it is)}
        self._sources = {
            _target_name(teacher, group): (teacher, group)
            for teacher in range(len(teachers))
            for group in groups
        }
        if norm == "statistics":
            for name in self.names:
                unknown = torch.full((self.size(name),), torch.nan)
                self.register_buffer(f"mean_{name}", unknown)
                self.register_buffer(f"std_{name}", unknown.clone())

    @property
    def teachers(self) -> tuple[SpeechModel, ...]:
        return self._teachers

    @property
    def names(self) -> tuple[str, ...]:
        """One per target, teacher by teacher: "4", "g8-9-10" (a mean), "t1_4" (second teacher)."""
        return tuple(self._sources)

    def size(self, name: str) -> int:
        """The dimension D of the target."""
        teacher, _ = self._sources[name]
        return self._teachers[teacher].hidden_size

    def _apply(self, fn, recurse: bool = True):
        # .to(), .cuda(), .half() must reach the hidden teachers too.
        for teacher in self._teachers:
            teacher._apply(fn)
        return super()._apply(fn, recurse)

    @torch.no_grad()
    def forward(self, wav: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """wav (B, N), lengths (B,) samples -> {name: (valid frames, D)} float32, normalised."""
        return {name: self._normalise(name, x) for name, x in self._raw(wav, lengths).items()}

    @property
    def needs_statistics(self) -> bool:
        """Whether ``collect`` must be called before the first batch."""
        return any(bool(buffer.isnan().any()) for buffer in self.buffers())

    @torch.no_grad()
    def collect(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Compute mean and deviation over the frames of all batches in all processes.

        Args:
            batches: (wav, lengths) as ``forward`` takes them.

        Raises:
            TrainingError: there are no batches, or targets are not finite.
        """
        # For each target: sums, sums of squares, number of frames. Float64, because differences of
        # large sums are taken.
        device = next(self.buffers()).device
        totals = {
            name: torch.zeros(2 * self.size(name) + 1, dtype=torch.float64, device=device)
            for name in self.names
        }
        for wav, lengths in batches:
            for name, x in self._raw(wav.to(device), lengths.to(device)).items():
                x = x.double()
                totals[name] += torch.cat([x.sum(0), x.square().sum(0), x.new_tensor([len(x)])])
        for name, total in totals.items():
            if torch.distributed.is_initialized():
                torch.distributed.all_reduce(total)
            if total[-1] == 0:
                raise TrainingError("target_norm: statistics: no batch to compute them from")
            mean, square = (total[:-1] / total[-1]).chunk(2)
            std = torch.sqrt((square - mean.square()).clamp(min=1e-10))
            if not bool(std.isfinite().all()):
                raise TrainingError(
                    f"target_norm: statistics: target {name} is NaN or infinite; check the "
                    "teacher, or use --amp bf16 or none"
                )
            self.get_buffer(f"mean_{name}").copy_(mean)
            self.get_buffer(f"std_{name}").copy_(std)

    def _normalise(self, name: str, x: Tensor) -> Tensor:
        if self.norm == "layer":
            return F.layer_norm(x, x.shape[-1:])
        if self.norm == "statistics":
            return (x - self.get_buffer(f"mean_{name}")) / self.get_buffer(f"std_{name}")
        return x

    def _raw(self, wav: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        if self.cache is None:
            return self._ask_teachers(wav, lengths)
        keys = [audio_key(row[:length]) for row, length in zip(wav, lengths.tolist(), strict=True)]
        rows = [self.cache.get(key) for key in keys]
        if None in rows:
            # The whole batch, because a teacher's last bits depend on the shape of its input.
            rows = self._fill_cache(keys, rows, self._ask_teachers(wav, lengths), lengths)
        return {name: torch.cat([row[name] for row in rows]).to(wav.device) for name in self.names}

    def _fill_cache(
        self,
        keys: Sequence[bytes],
        rows: Sequence[Mapping[str, Tensor] | None],
        answer: Mapping[str, Tensor],
        lengths: Tensor,
    ) -> list[Mapping[str, Tensor]]:
        frames = self._teachers[0].num_frames(lengths).tolist()
        split = {name: answer[name].cpu().split(frames) for name in self.names}
        filled = []
        for i, (key, row) in enumerate(zip(keys, rows, strict=True)):
            if row is None:
                fresh = {name: parts[i] for name, parts in split.items()}
                self.cache.put(key, fresh)
                row = self.cache.get(key) or fresh  # not stored if it is not finite
            filled.append(row)
        return filled

    def _ask_teachers(self, wav: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        hidden = [teacher(wav, lengths) for teacher in self._teachers]
        out = {}
        for name, (teacher, group) in self._sources.items():
            states = [
                valid_frames(hidden[teacher].states[layer], hidden[teacher].lengths).float()
                for layer in group
            ]
            out[name] = sum(states[1:], states[0]) / len(group) if len(group) > 1 else states[0]
        return out


def _target_name(teacher: int, group: tuple[int, ...]) -> str:
    name = str(group[0]) if len(group) == 1 else "g" + "-".join(map(str, group))
    return name if teacher == 0 else f"t{teacher}_{name}"


def _check_same_frames(teachers: Sequence[SpeechModel]) -> None:
    formats = {(teacher.rate, teacher.hop, teacher.min_samples) for teacher in teachers}
    if len(formats) != 1:
        listed = ", ".join(
            f"{r} Hz: {field} samples every {hop}" for r, hop, field in sorted(formats)
        )
        raise ModelError(f"teacher: all must have the same sampling rate and frames, got {listed}")
