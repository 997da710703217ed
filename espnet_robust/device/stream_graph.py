"""The exported graph of a recogniser that hears its input in chunks."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from espnet_robust.common.errors import ModelError
from espnet_robust.device.recogniser import Recogniser
from espnet_robust.models.running_mean import minus_running_mean
from espnet_robust.models.streaming import State, StreamModel


class StreamGraph(nn.Module):
    """Samples of one chunk and the states before it -> (1, T, V) log probabilities and the states
    after it. Every shape is fixed; concatenated outputs equal those of the whole utterance.

    Raises:
        ModelError: a part of the recogniser needs the whole utterance.
    """

    def __init__(self, recogniser: Recogniser, where: str):
        super().__init__()
        self.recogniser = recogniser
        self.subsample = math.prod(recogniser.encoder.subsample)
        _check(recogniser, self.subsample, where)

    @property
    def student(self) -> StreamModel:
        student = self.recogniser.frontend.speech_model.encoder
        assert isinstance(student, StreamModel)
        return student

    def first_states(self) -> dict[str, Tensor]:
        """The states at the beginning of a stream, by name."""
        sums, before, memory = self.student.first_state()
        states = {"filter_sums": sums, "positions": before, "memory": memory}
        if self.recogniser.normalize:
            size = self.student.config.hidden_size + 1
            states["feature_sums"] = torch.zeros(1, 1, size, dtype=torch.float64)
        return states | {"lstm": self.recogniser.encoder.first_state()}

    def forward(self, samples: Tensor, frames: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """(1, ``chunk_samples``), the number of frames in them, and the values of
        ``first_states`` or of the previous chunk.
        """
        model = self.recogniser
        layers, after = self.student.step(samples, frames, State(*states[:3]))
        erased = model.frontend.speech_model.erase(layers)
        x = model.frontend.weighted([erased[layer] for layer in model.frontend.layers])
        following: Sequence[Tensor] = after
        if model.normalize:
            x, sums = minus_running_mean(x, states[3], model.window)
            following = [*following, sums]
        x, lstm = model.encoder.step(x, states[-1])
        return model.ctc.ctc_lo(x).log_softmax(-1), *following, lstm


def can_stream(recogniser: Recogniser) -> bool:
    """Whether the student is causal, so that a stream is what its user wants."""
    return isinstance(recogniser.frontend.speech_model.encoder, StreamModel)


def _check(recogniser: Recogniser, subsample: int, where: str) -> None:
    if not can_stream(recogniser):
        raise ModelError(
            f"{where}: cannot be exported as a stream: its student needs the whole utterance; "
            "distil one with student_conf: causal: true"
        )
    if recogniser.encoder.bidirectional:
        raise ModelError(
            f"{where}: cannot be exported as a stream: its encoder is bidirectional; train the "
            "recogniser with encoder_conf: bidirectional: false"
        )
    if recogniser.normalize == "utterance_mvn":
        raise ModelError(
            f"{where}: cannot be exported as a stream: normalize: utterance_mvn needs the whole "
            "utterance; train the recogniser with normalize: running_mean"
        )
    chunk = recogniser.frontend.speech_model.config.chunk
    if chunk % subsample:
        raise ModelError(
            f"{where}: cannot be exported as a stream: chunks of {chunk} frames, of which the "
            f"encoder keeps every {subsample}th; need a multiple"
        )
