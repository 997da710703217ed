"""From samples to encoded frames: what exported recognisers and classifiers share.

Modules have the names used in the checkpoints of ESPnet's experiments. Every operation exists in
ONNX.
"""

import torch
from torch import Tensor, nn

from espnet_robust.models.blstm import BLSTM
from espnet_robust.models.layers import select_layers
from espnet_robust.models.padding import frame_mask
from espnet_robust.models.running_mean import WINDOW, minus_running_mean
from espnet_robust.models.speech_model import SpeechModel


class Features(nn.Module):
    """``frontend: robust_student``: a speech model and the weights of its layers."""

    def __init__(self, speech_model: SpeechModel, layers: str | int | list[int]):
        super().__init__()
        self.speech_model = speech_model
        self.layers = select_layers(layers, speech_model.num_layers)
        self.layer_weights = nn.Parameter(torch.zeros(len(self.layers)))

    def states(self, wav: Tensor, lengths: Tensor | None) -> list[Tensor]:
        """(B, N) samples and lengths (B,), or None if no row is padded -> the selected layers,
        each (B, T, D).
        """
        model = self.speech_model
        if lengths is not None:
            wav = wav.masked_fill(~frame_mask(wav, lengths), 0.0)
        if model.normalize:
            wav = normalized(wav, lengths)
        states = model.encode(wav, lengths)
        return [states[layer] for layer in self.layers]

    def forward(self, wav: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, N) samples -> (B, T, D) features, with zeros in the padding, and (B,) frames."""
        x = self.weighted(self.states(wav, lengths))
        if lengths is None:
            return x, None
        frames = self.speech_model.num_frames(lengths)
        return x.masked_fill(~frame_mask(x, frames)[..., None], 0.0), frames

    def weighted(self, states: list[Tensor]) -> Tensor:
        """The sum of the selected layers (B, T, D), with the trained weights."""
        weights = self.layer_weights.softmax(0)
        x = sum(w * state for w, state in zip(weights, states, strict=True))
        assert isinstance(x, Tensor)
        return x


def normalized(wav: Tensor, lengths: Tensor | None) -> Tensor:
    """``normalize_waveform`` of (B, N) with zeros in the padding, with sums in float64.

    onnxruntime sums 30 s of float32 sequentially, with an error of 2e-4 in the samples and 1e-3 in
    log probabilities.
    """
    x = wav.double()
    count = x.shape[1] if lengths is None else lengths[:, None]
    x = x - x.sum(1, keepdim=True) / count
    if lengths is not None:
        x = x.masked_fill(~frame_mask(x, lengths), 0.0)
    variance = x.square().sum(1, keepdim=True) / count
    return (x / torch.sqrt(variance + 1e-7)).float()


class Projection(nn.Module):
    """``encoder: transformer`` without blocks: a linear layer on each frame.

    Args:
        output_size: dimension of the output; if that of the input, there is no linear layer.
        normalize_before: whether a layer norm follows.
    """

    def __init__(self, input_size: int, output_size: int = 256, normalize_before: bool = True):
        super().__init__()
        self.size, self.subsample = output_size, (1,)
        same = input_size == output_size
        self.embed = nn.Identity() if same else nn.Linear(input_size, output_size)
        self.after_norm = (
            nn.LayerNorm(output_size, eps=1e-12) if normalize_before else nn.Identity()
        )

    def encode(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) and lengths (B,) or None -> (B, T, ``output_size``) and the same lengths.
        Frames of padding are not zero.
        """
        return self.after_norm(self.embed(x)), lengths


class EncodedFrames(nn.Module):
    """Samples to encoded frames.

    Args:
        features: the frontend.
        encoder: the layers above it.
        normalize: what is subtracted from the features: ``utterance_mvn``, the utterance's mean;
            ``running_mean``, that of the frames so far; None, nothing.
        norm_vars: with ``utterance_mvn``, divide by the utterance's standard deviation too.
        window: of ``running_mean``, in frames.
    """

    def __init__(
        self,
        features: Features,
        encoder: BLSTM | Projection,
        normalize: str | None,
        norm_vars: bool = False,
        window: int = WINDOW,
    ):
        super().__init__()
        self.frontend = features
        self.encoder = encoder
        self.normalize = normalize
        self.norm_vars, self.window = norm_vars, window

    @property
    def hop(self) -> int:
        """Samples from one output frame to the next."""
        hop = self.frontend.speech_model.hop
        for step in self.encoder.subsample:
            hop *= step
        return hop

    def encode(self, wav: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, N) samples in [-1, 1] and lengths (B,), or None if no row is padded -> (B, T, D) and
        (B,) frames.
        """
        x, frames = self.frontend(wav, lengths)
        return self.encoder.encode(self._normalized(x, frames), frames)

    def _normalized(self, x: Tensor, frames: Tensor | None) -> Tensor:
        if self.normalize is None:
            return x
        if self.normalize == "running_mean":
            return minus_running_mean(x, window=self.window)[0]
        count = x.shape[1] if frames is None else frames[:, None, None]
        x = x - x.sum(1, keepdim=True) / count
        if frames is not None:
            x = x.masked_fill(~frame_mask(x, frames)[..., None], 0.0)
        if self.norm_vars:
            deviation = (x.square().sum(1, keepdim=True) / count).sqrt()
            x = x / deviation.clamp(min=1e-20)  # as in ESPnet: 0 stays 0
        return x
