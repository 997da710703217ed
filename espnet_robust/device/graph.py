"""The exported graphs: modules with the inputs and outputs of the ONNX files."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from espnet_robust.common.errors import ModelError
from espnet_robust.device.classifier import Classifier
from espnet_robust.device.features import Features
from espnet_robust.device.pieces import in_pieces, put_loop
from espnet_robust.device.recogniser import Recogniser
from espnet_robust.device.runtime import package
from espnet_robust.device.stream import NEXT
from espnet_robust.device.stream_graph import StreamGraph
from espnet_robust.models.speech_model import SpeechModel

OPSET = 18
FRAME_MS = 20  # sherpa-onnx's; it computes times from frame numbers
_IMPOSSIBLE = -1e4  # added to the logit of a token that must not be output
_SAMPLES = {0: "batch", 1: "samples"}


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a graph, as torch's exporter wants them.

    Attributes:
        inputs: an example of each input, by name.
        axes: {input or output: {dimension: name}} of those that vary.
    """

    inputs: dict[str, Tensor]
    outputs: list[str]
    axes: dict[str, dict[int, str]] = field(default_factory=dict)


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


class ClassifierGraph(nn.Module):
    """(B, N) samples, (B,) lengths -> (B, C) log probabilities of classes."""

    outputs = ("log_probs",)
    axes = ({0: "batch"},)

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor]:
        return (self.classifier(wav, lengths),)


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

    def __init__(self, recogniser: Recogniser, silent: list[int], where: str):
        super().__init__()
        model = recogniser.frontend.speech_model
        if not model.normalize:
            raise ModelError(
                f"{where}: cannot be exported for sherpa-onnx, which scales each utterance to unit "
                "variance; this student was trained on samples as recorded"
            )
        self.repeats, rest = divmod(1000 * recogniser.hop, FRAME_MS * model.rate)
        if rest or not self.repeats:
            ms = 1000 * recogniser.hop / model.rate
            raise ModelError(
                f"{where}: cannot be exported for sherpa-onnx, which needs frames of a multiple of "
                f"{FRAME_MS} ms, not {ms:g} ms"
            )
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
    (speech_model,) = (one for one in graph.modules() if isinstance(one, SpeechModel))
    front = in_pieces(speech_model)
    form = _signature(graph, rate)
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            graph, tuple(form.inputs.values()), path, input_names=list(form.inputs),
            output_names=form.outputs, dynamic_axes=form.axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        if front is not None:
            onnx = package("onnx")
            model = onnx.load(path)
            put_loop(model, front, OPSET)
            onnx.save(model, path)


def _signature(graph: nn.Module, rate: int) -> Signature:
    wav = 0.1 * torch.randn(2, rate, generator=torch.Generator().manual_seed(0))
    if isinstance(graph, StreamGraph):
        states, samples = graph.first_states(), graph.student.chunk_samples
        chunk = {"samples": wav[:1, :1].repeat(1, samples), "frames": torch.tensor(1)}
        return Signature(chunk | states, ["log_probs", *(NEXT + name for name in states)])
    if isinstance(graph, SherpaGraph):
        axes = {"x": _SAMPLES, "log_probs": {0: "batch", 1: "frames"}}
        return Signature({"x": wav}, ["log_probs"], axes)
    assert isinstance(graph, StudentGraph | RecogniserGraph | ClassifierGraph)
    inputs = {"samples": wav, "lengths": torch.tensor([rate, rate * 3 // 4])}
    axes = {"samples": _SAMPLES, "lengths": {0: "batch"}}
    axes |= dict(zip(graph.outputs, graph.axes, strict=True))
    return Signature(inputs, list(graph.outputs), axes)


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
