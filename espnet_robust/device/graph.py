"""The exported graphs: modules with the inputs and outputs of the ONNX files."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from espnet_robust.common.errors import ModelError
from espnet_robust.device.recogniser import Features, Recogniser

OPSET = 18
FRAME_MS = 20  # sherpa-onnx's; it computes times from frame numbers
_IMPOSSIBLE = -1e4  # added to the logit of a token that must not be output


class StudentGraph(nn.Module):
    """(B, N) samples, (B,) lengths -> (B, layers, T, D) hidden states, (B,) frames."""

    outputs = ("hidden_states", "frames")
    axes = ({0: "batch", 2: "frames"}, {0: "batch"})

    def __init__(self, features: Features):
        super().__init__()
        self.features = features

    def forward(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        states = self.features.states(wav, lengths)
        return torch.stack(states, 1), self.features.speech_model.num_frames(lengths)


class RecogniserGraph(nn.Module):
    """(B, N) samples, (B,) lengths -> (B, T, V) log probabilities, (B,) frames."""

    outputs = ("log_probs", "frames")
    axes = ({0: "batch", 1: "frames"}, {0: "batch"})

    def __init__(self, recogniser: Recogniser):
        super().__init__()
        self.recogniser = recogniser

    def forward(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.recogniser(wav, lengths)


class SherpaGraph(nn.Module):
    """(N, samples) -> (N, frames of 20 ms, V) log probabilities, as sherpa-onnx expects.

    sherpa-onnx passes no lengths, prints the most likely token whatever it is, and takes a frame to
    be 20 ms long. So tokens that are not text are made impossible here, and a frame of 40 ms is
    repeated, which greedy search merges.

    Args:
        silent: ids of tokens that are not text, besides the blank.

    Raises:
        ModelError: the speech model was trained without normalised utterances, but sherpa-onnx
            always normalises them; or a frame is not a multiple of 20 ms.
    """

    def __init__(self, recogniser: Recogniser, silent: list[int]):
        super().__init__()
        model = recogniser.frontend.speech_model
        if not model.normalize:
            raise ModelError(
                "sherpa-onnx scales each utterance to unit variance; this speech model was trained "
                "on samples as recorded: use --format onnx"
            )
        self.repeats, rest = divmod(1000 * recogniser.hop, FRAME_MS * model.rate)
        if rest or not self.repeats:
            ms = 1000 * recogniser.hop / model.rate
            raise ModelError(f"frames of {ms:g} ms: sherpa-onnx needs a multiple of {FRAME_MS} ms")
        self.recogniser = recogniser
        self.tokens = recogniser.ctc.ctc_lo.out_features
        bias = torch.zeros(self.tokens)
        bias[silent] = _IMPOSSIBLE
        self.register_buffer("bias", bias)

    def forward(self, wav: Tensor) -> Tensor:
        log_probs = (self.recogniser(wav, None)[0] + self.bias).log_softmax(-1)
        if self.repeats == 1:
            return log_probs
        rows, frames, _ = log_probs.shape
        repeated = log_probs[:, :, None].expand(rows, frames, self.repeats, self.tokens)
        return repeated.reshape(rows, -1, self.tokens)


def trace(graph: nn.Module, rate: int, path: str) -> None:
    """Write ``graph`` as ONNX.

    Args:
        rate: sampling rate in Hz, for the example.

    This uses torch's older exporter: its files equal those of the new one to the last digits of
    float32 (both were tried), it takes a tenth of the time, and it does not need onnxscript.
    """
    graph = _for_export(graph)
    wav = 0.1 * torch.randn(2, rate, generator=torch.Generator().manual_seed(0))
    sizes = {0: "batch", 1: "samples"}
    if isinstance(graph, SherpaGraph):
        inputs: tuple[Tensor, ...] = (wav,)
        names, outputs = ["x"], ["log_probs"]
        axes = {"x": sizes, "log_probs": {0: "batch", 1: "frames"}}
    else:
        assert isinstance(graph, StudentGraph | RecogniserGraph)
        inputs = (wav, torch.tensor([rate, rate * 3 // 4]))
        names, outputs = ["samples", "lengths"], list(graph.outputs)
        axes = {"samples": sizes, "lengths": {0: "batch"}}
        axes |= dict(zip(graph.outputs, graph.axes, strict=True))
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            graph, inputs, path, input_names=names, output_names=outputs, dynamic_axes=axes,
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def _for_export(graph: nn.Module) -> nn.Module:
    """A copy that has attention in plain operations and no weight norm."""
    graph = copy.deepcopy(graph).eval()
    for module in list(graph.modules()):
        set_attention = getattr(module, "set_attn_implementation", None)
        if callable(set_attention):
            set_attention("eager")
        for name, part in module.named_children():
            if parametrize.is_parametrized(part):
                setattr(module, name, _plain(part))
    return graph


def _plain(part: nn.Module) -> nn.Conv1d:
    """A plain convolution with the weights of a parametrized one.

    ``remove_parametrizations`` would change the class, which the original model shares.
    """
    assert isinstance(part, nn.Conv1d)
    conv = nn.Conv1d(
        part.in_channels, part.out_channels, part.kernel_size[0],
        groups=part.groups, bias=part.bias is not None,
    )  # fmt: skip
    conv.stride, conv.padding, conv.dilation = part.stride, part.padding, part.dilation
    with torch.no_grad():
        conv.weight.copy_(part.weight)
        if conv.bias is not None and part.bias is not None:
            conv.bias.copy_(part.bias)
    return conv


@contextmanager
def _quiet() -> Iterator[None]:
    # Silences warnings about the older exporter, and about lengths that may become constants.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
