"""The model that ESPnet's trainer drives: frozen teacher, student, heads, adversary, loss."""

from collections.abc import Mapping, Sequence

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor, nn

from espnet_robust.distill.adversary import Adversary, AdversaryInput
from espnet_robust.distill.losses import LOSSES, valid_frames
from espnet_robust.distill.speech_model import SpeechModel


class DistillModel(AbsESPnetModel):
    """Predicts the teacher's hidden states of its view from the student's view of the same crop.

    One linear head for each target layer reads the student's last layer; heads and adversary are
    dropped after distillation (arXiv:2110.01900).

    Args:
        teacher: frozen; kept out of the module tree, hence out of checkpoints, optimizer and DDP.
        student: trained.
        target_layers: layers of the teacher.
        loss_weights: {name in LOSSES: weight}.
        adversary: the domain classifier, or None.
        target_norm: ``layer`` scales each target frame to zero mean and unit variance over its D
            values (data2vec, arXiv:2202.03555, section 3.3), so that pre-norm teachers, whose
            hidden states grow with depth, weigh each layer and frame alike; ``none`` does not.
    """

    def __init__(
        self,
        teacher: SpeechModel,
        student: SpeechModel,
        target_layers: Sequence[int],
        loss_weights: Mapping[str, float],
        adversary: Adversary | None,
        target_norm: str = "none",
    ):
        super().__init__()
        self._teacher = [teacher]  # a list hides it from nn.Module
        self.student = student
        self.target_layers = tuple(target_layers)
        self.heads = nn.ModuleDict(
            {
                str(layer): nn.Linear(student.hidden_size, teacher.hidden_size)
                for layer in self.target_layers
            }
        )
        self.loss_weights = dict(loss_weights)
        self.adversary = adversary
        self.target_norm = target_norm
        self._step, self._total_steps = 0, 1

    @property
    def teacher(self) -> SpeechModel:
        return self._teacher[0]

    def _apply(self, fn, recurse: bool = True):
        # .to(), .cuda(), .half() must reach the hidden teacher too.
        self._teacher[0]._apply(fn)
        return super()._apply(fn, recurse)

    def start_epoch(self, step: int, total_steps: int) -> None:
        """Tell how many of ``total_steps`` updates are done: the adversary's ramp needs it.

        No buffer holds the count, because ESPnet would average it over checkpoints.
        """
        self._step, self._total_steps = step, max(1, total_steps)

    @property
    def progress(self) -> float:
        """Share of training done, in [0, 1]."""
        return min(1.0, self._step / self._total_steps)

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        student_speech: Tensor,
        student_speech_lengths: Tensor,
        domain: Tensor,
        **kwargs,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """speech (B, N): the teacher's view; student_speech (B, N); domain (B, 1) int64."""
        with torch.no_grad():
            target = self.teacher(speech, speech_lengths)
        hidden = self.student(student_speech, student_speech_lengths)
        last = valid_frames(hidden.states[self.student.num_layers], hidden.lengths)

        stats: dict[str, Tensor] = {}
        distill = last.new_zeros(())
        predictions, targets = {}, {}
        for layer in self.target_layers:
            wanted = valid_frames(target.states[layer], target.lengths).float()
            if self.target_norm == "layer":
                wanted = nn.functional.layer_norm(wanted, wanted.shape[-1:])
            prediction = self.heads[str(layer)](last)
            predictions[str(layer)], targets[str(layer)] = prediction, wanted
            for name, weight in self.loss_weights.items():
                term = LOSSES[name](prediction.float(), wanted) / len(self.target_layers)
                distill = distill + weight * term
                stats[name] = stats.get(name, 0.0) + term.detach()
        loss = distill
        if self.adversary is not None:
            inputs = AdversaryInput(
                hidden.states, hidden.lengths, domain[:, 0], predictions, targets
            )
            against = self.adversary(inputs, self.progress, self._step)
            loss = against.loss + distill if against.distill_weight else against.loss
            stats.update(against.stats)
        stats["distill"] = distill.detach().clone()
        # A copy: the trainer divides the loss in place before it logs it.
        stats["loss"] = loss.detach().clone()
        if self.training:
            self._step += 1
        return force_gatherable((loss, stats, hidden.lengths.sum()), loss.device)

    def collect_feats(self, **batch) -> dict[str, Tensor]:
        """ESPnet's collect_stats: lengths are all there is to collect."""
        return {"feats": batch["speech"], "feats_lengths": batch["speech_lengths"]}
