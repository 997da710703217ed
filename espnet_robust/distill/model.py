"""The model that ESPnet's trainer drives: frozen teachers, student, heads, adversary, loss."""

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor, nn

from espnet_robust.common.errors import TrainingError
from espnet_robust.common.launch import IDLE
from espnet_robust.distill.adversary import Adversary, AdversaryInput
from espnet_robust.distill.losses import AUXILIARY, LOSSES, OF_BATCH
from espnet_robust.distill.probe import DomainProbe, summarise
from espnet_robust.distill.schedule import Schedule
from espnet_robust.distill.student_erasure import StudentErasure
from espnet_robust.distill.targets import Targets
from espnet_robust.distill.views import CLEAN
from espnet_robust.models.onednn.linear import use_fast_linear
from espnet_robust.models.padding import valid_frames
from espnet_robust.models.speech_model import Hidden, SpeechModel


class DistillModel(AbsESPnetModel):
    """Predicts the teachers' hidden states for their view from the student's view of the same crop.

    One linear head per target, on the student's last layer; heads, auxiliary losses and adversary
    are dropped after distillation (arXiv:2110.01900).

    Args:
        targets: the teachers' targets.
        student: the student to train.
        loss_weights: {name in LOSSES or AUXILIARY: weight}.
        adversary: the domain classifier, or None.
        ema: decay in (0, 1) of an exponential moving average of student and heads, updated in each
            training update; 0: none. The average, ``ema_student``, is validated and exported. It
            includes all updates but the last.
        amp: dtype of the forward pass of teachers, student and heads; None leaves it to the
            caller. Losses and adversary are always float32.
        erasure: fits the eraser that the probe applies, as the exported student will; None: there
            is none.
        probes: whether validation probes the domain; its batches must hold the clean crop.

    Attributes:
        probe: with ``probes``, gets the student's last layer in validation.
        unerased_probe: with ``erasure``, gets it as it was before.
    """

    def __init__(
        self,
        targets: Targets,
        student: SpeechModel,
        loss_weights: Mapping[str, float],
        adversary: Adversary | None = None,
        ema: float = 0.0,
        amp: torch.dtype | None = None,
        erasure: StudentErasure | None = None,
        probes: bool = False,
    ):
        super().__init__()
        # First the weights are drawn; then the modules are registered in the order that parameters
        # have in optimizer checkpoints.
        auxiliary = [loss(student) for name, loss in AUXILIARY.items() if name in loss_weights]
        heads = {name: nn.Linear(student.hidden_size, targets.size(name)) for name in targets.names}
        self.student = student
        self.heads = nn.ModuleDict(heads)
        use_fast_linear(self.heads)
        self.adversary = adversary
        for loss in auxiliary:
            self.add_module(loss.key, loss)
        self.targets = targets
        self.loss_weights = {name: float(weight) for name, weight in loss_weights.items()}
        self.ema = ema
        if ema:
            self.ema_student = _frozen_copy(student)
            self.ema_heads = _frozen_copy(self.heads)
        self.amp = amp
        self.erasure, self.probes = erasure if probes else None, probes
        self.probe, self.unerased_probe = DomainProbe(), DomainProbe()
        self.start_epoch(Schedule())

    def start_epoch(self, schedule: Schedule, batches_per_step: int = 1) -> None:
        """Set the point in the training, and the number of batches per update.

        The count is not in a buffer, because ESPnet would average it over checkpoints.
        """
        self._start = schedule
        self._batches, self._batches_per_step = 0, batches_per_step
        if self.ema and schedule.step == 0:
            # The average starts from the student's initial weights, whatever their source.
            self._move_average(share=1.0)

    def start_validation(self) -> None:
        """Fit the eraser to the student that is validated."""
        if self.erasure:
            # In a list, so that it is neither registered nor saved.
            self._eraser = [self.erasure.fit(self.ema_student if self.ema else self.student)]

    @property
    def schedule(self) -> Schedule:
        """The current point in the training, counting the batches since ``start_epoch``."""
        return replace(self._start, done=self._batches // self._batches_per_step)

    @property
    def needs_statistics(self) -> bool:
        """Whether ``collect_statistics`` must be called before the first batch."""
        return self.targets.needs_statistics

    def collect_statistics(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Collect target statistics over ``speech`` and ``speech_lengths`` of each batch."""
        with self._autocast(next(self.parameters()).device):
            self.targets.collect((batch["speech"], batch["speech_lengths"]) for batch in batches)

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        student_speech: Tensor,
        student_speech_lengths: Tensor,
        domain: Tensor,
        student_mask: Tensor | None = None,
        utt_id: Sequence[str] = (),
        **views: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics to log, and weight of one batch.

        Args:
            speech: (B, N), the teachers' view, with ``speech_lengths`` (B,) samples.
            student_speech: (B, N), the student's view, with ``student_speech_lengths`` samples.
            domain: (B, 1) int64, class of the student's view.
            student_mask: (B, T), 1 on frames of the student's input to mask.
            utt_id: utterance ids, for the probe, and for the message if the loss is not finite.
            views: views for auxiliary losses, such as clean_speech (B, N); others are ignored.

        Raises:
            TrainingError: the loss is NaN or infinite.
        """
        idle = list(utt_id) == [IDLE]  # another rank's utterance, of weight 0
        if idle:
            domain = torch.zeros_like(domain)  # adversaries go by what is distorted
        self._follow_student()
        with self._autocast(speech.device):
            targets = self.targets(speech, speech_lengths)
        hidden, last, predictions = self._predict(
            student_speech, student_speech_lengths, student_mask
        )
        clean, probed = None, self.probes and not self.training
        if CLEAN in views and (self._matches or probed):
            undistorted, frames, said = self._predict(
                views[CLEAN], student_speech_lengths, student_mask
            )
            clean = (undistorted.states, said)
            if probed and not idle:
                self._listen(last, frames, hidden.lengths, domain[:, 0] != 0, utt_id)
        inputs = AdversaryInput(
            hidden.states, hidden.lengths, domain[:, 0], predictions, targets, clean
        )
        with torch.autocast(speech.device.type, enabled=False):
            total, distill, stats = self._losses(inputs, last, student_speech_lengths, views, idle)
        _check_finite(total, stats, utt_id)
        # Copies, because the trainer divides the loss in place before logging it.
        stats |= {"distill": distill.detach().clone(), "loss": total.detach().clone()}
        if self.training:
            self._batches += 1
        return force_gatherable((total, stats, hidden.lengths.sum()), total.device)

    def _predict(
        self, wav: Tensor, lengths: Tensor, mask: Tensor | None
    ) -> tuple[Hidden, Tensor, dict[str, Tensor]]:
        """The student's states, the valid frames (N, D) of its last layer, and the predictions."""
        student, heads = self._pick_student()
        with self._autocast(wav.device):
            hidden = student(wav, lengths, None if mask is None else mask.bool())
            last = valid_frames(hidden.states[student.num_layers], hidden.lengths)
            return hidden, last, {name: head(last).float() for name, head in heads.items()}

    def _losses(
        self,
        inputs: AdversaryInput,
        last: Tensor,
        lengths: Tensor,
        views: Mapping[str, Tensor],
        idle: bool,
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The loss to minimise in this step, the distillation loss in it, and all terms by name.

        Args:
            inputs: predictions, targets and the adversary's other inputs.
            last: (N, D), valid frames of the student's last layer.
            lengths: (B,) samples.
            views: see ``forward``.
            idle: whether the batch has the weight 0.
        """
        distill, stats = self._distances(inputs.predictions, inputs.targets, inputs.lengths, idle)
        for name, loss in self.auxiliary.items():
            heard = {view: views[view] for view in loss.needs}
            term = loss(last.float(), lengths, inputs.lengths, **heard)
            distill = distill + self.loss_weights[name] * term
            stats[name] = term.detach().clone()
        if self.adversary is None:
            return distill, distill, stats
        against = self.adversary(inputs, self.schedule)
        stats |= against.stats
        if self.training:
            state = inputs.states[self.adversary.top]
            sides = {"domain_grad": against.loss, "distill_grad": distill}
            stats |= {name: _gradient_norm(loss, state) for name, loss in sides.items()}
        total = against.loss + distill if against.distill_weight else against.loss
        return total, distill, stats

    @property
    def _matches(self) -> bool:
        return self.adversary is not None and self.adversary.config.matches

    def _listen(
        self, last: Tensor, clean: Tensor, lengths: Tensor, distorted: Tensor, utts: Sequence[str]
    ) -> None:
        """Give the probe the distorted utterances of a batch, and all utterances undistorted."""
        for side, frames in ((True, last), (False, clean)):
            rows = distorted if side else torch.ones_like(distorted)
            ids = list(itertools.compress(utts, rows.tolist()))
            if self.erasure:
                self.unerased_probe.add(summarise(frames, lengths)[rows], ids, distorted=side)
                frames = self._eraser[0].layer(frames, self.student.num_layers)
            self.probe.add(summarise(frames, lengths)[rows], ids, distorted=side)

    def fit_probes(self) -> dict[str, float]:
        """What the probes found in validation, see ``DomainProbe.fit``; else nothing."""
        if not self.probes:
            return {}
        unerased = self.unerased_probe.fit() if self.erasure else {}
        return self.probe.fit() | {f"{name}_unerased": value for name, value in unerased.items()}

    @property
    def auxiliary(self) -> dict[str, nn.Module]:
        """{name in AUXILIARY: the module} for those with a weight."""
        return {
            name: self.get_submodule(loss.key)
            for name, loss in AUXILIARY.items()
            if name in self.loss_weights
        }

    def _distances(
        self,
        predictions: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        lengths: Tensor,
        idle: bool,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the distances (means over the targets), and each by its name."""
        total = torch.zeros((), device=lengths.device)
        stats: dict[str, Tensor] = {}
        for name, wanted in targets.items():
            for loss, weight in self.loss_weights.items():
                if loss in LOSSES:
                    frames = 0 if idle and loss in OF_BATCH else len(wanted)
                    said, true = predictions[name][:frames], wanted[:frames]
                    term = LOSSES[loss](said, true, lengths) / len(targets)
                    total = total + weight * term
                    stats[loss] = stats.get(loss, 0.0) + term.detach()
        return total, stats

    def _pick_student(self) -> tuple[SpeechModel, nn.ModuleDict]:
        if self.ema and not self.training:
            return self.ema_student, self.ema_heads
        return self.student, self.heads

    def _follow_student(self) -> None:
        """Move the average by the last update, in the first batch of each."""
        if self.ema and self.training and self._batches % self._batches_per_step == 0:
            self._move_average(share=1 - self.ema)

    def _move_average(self, share: float) -> None:
        _move_towards(self.ema_student, self.student, share)
        _move_towards(self.ema_heads, self.heads, share)

    def _autocast(self, device: torch.device) -> AbstractContextManager:
        return nullcontext() if self.amp is None else torch.autocast(device.type, self.amp)

    def collect_feats(self, **batch) -> dict[str, Tensor]:
        """For ESPnet's collect_stats, which only needs lengths."""
        return {"feats": batch["speech"], "feats_lengths": batch["speech_lengths"]}


def _frozen_copy(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).requires_grad_(False).eval()


@torch.no_grad()
def _move_towards(average: nn.Module, current: nn.Module, share: float) -> None:
    """average <- average + share (current - average), in place."""
    torch._foreach_lerp_(list(average.parameters()), list(current.parameters()), share)
    for ours, theirs in zip(average.buffers(), current.buffers(), strict=True):
        ours.copy_(theirs)


def _gradient_norm(loss: Tensor, state: Tensor) -> Tensor:
    """Norm of the gradient of ``loss`` with respect to ``state``; 0 if it does not depend on it."""
    if not loss.requires_grad:
        return loss.new_zeros(())
    (gradient,) = torch.autograd.grad(loss, state, retain_graph=True, allow_unused=True)
    return loss.new_zeros(()) if gradient is None else gradient.float().norm()


def _check_finite(loss: Tensor, stats: Mapping[str, Tensor], utt_id: Sequence[str]) -> None:
    if bool(loss.isfinite()):
        return
    loss = loss.detach()
    terms = ", ".join(f"{name} {float(value):.3g}" for name, value in stats.items())
    shown = ", ".join(utt_id[:8]) + (f" and {len(utt_id) - 8} more" if len(utt_id) > 8 else "")
    raise TrainingError(
        f"the loss is {float(loss)} ({terms}) for the batch of utterances {shown}; lower the "
        "learning rate or the gradient clipping, use --amp bf16 or none instead of fp16, or "
        "listen to these utterances"
    )
