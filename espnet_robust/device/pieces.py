"""HuBERT's convolutions in pieces, so that memory hardly grows with the utterance.

The first convolution of HuBERT Base makes 6.5 MB from a second of audio. A frame depends on 400
samples only, so a Loop in the graph computes ``PIECE`` frames at a time, with the same result.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_robust.device.runtime import package
from espnet_robust.models.front.norm import scale_and_shift
from espnet_robust.models.speech_model import SpeechModel

PIECE = 25  # frames
DOMAIN, OP = "espnet_robust", "Pieces"


class Piece(nn.Module):
    """The convolutions of one piece, as matrix products over (time, channels): onnxruntime computes
    these faster than convolutions, in integers above all.

    The first one's weights are an input, with a group norm multiplied in. Their last row is the
    bias, which a sample of one meets.
    """

    def __init__(self, layers: Any):
        super().__init__()
        self.layers = layers
        self.matrices = nn.ParameterList(matrix(layer.conv) for layer in layers[1:])

    def forward(self, wav: Tensor, first: Tensor) -> Tensor:
        """(B, samples), (B or 1, kernel + 1, C') -> (B, ``PIECE``, C)."""
        x = self._after(self.layers[0], self._seen(wav) @ first)
        for layer, w in zip(self.layers[1:], self.matrices, strict=True):
            x = unfolded(x, layer.conv.kernel_size[0], layer.conv.stride[0]) @ w
            x = self._after(layer, x if layer.conv.bias is None else x + layer.conv.bias)
        return x

    def _seen(self, wav: Tensor) -> Tensor:
        """(B, samples) -> (B, T, kernel + 1): the samples of each place, and a one."""
        conv = self.layers[0].conv
        at = places(wav.shape[1], conv.kernel_size[0], conv.stride[0])
        at = F.pad(at, (0, 1), value=wav.shape[1])
        return F.pad(wav, (0, 1), value=1.0).index_select(1, at.flatten()).reshape(-1, *at.shape)

    @staticmethod
    def _after(layer: Any, x: Tensor) -> Tensor:
        norm = getattr(layer, "layer_norm", None)
        return layer.activation(norm(x) if isinstance(norm, nn.LayerNorm) else x)


def matrix(conv: nn.Conv1d) -> Tensor:
    """The weights of a convolution, (kernel * inputs, outputs)."""
    return conv.weight.detach().permute(2, 1, 0).flatten(0, 1)


def places(samples: int, kernel: int, stride: int) -> Tensor:
    """(T, kernel): which samples a convolution sees at each place."""
    count = (samples - kernel) // stride + 1
    return torch.arange(count)[:, None] * stride + torch.arange(kernel)


def unfolded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """(B, N, C) -> (B, T, kernel * C): what a convolution sees at each place."""
    at = places(x.shape[1], kernel, stride)
    if at.numel() != x.shape[1]:  # else each frame is seen once
        x = x.index_select(1, at.flatten())
    return x.reshape(-1, len(at), kernel * x.shape[2])


class _Loop(torch.autograd.Function):
    """Stands for the loop while a graph is traced; ``put_loop`` replaces its node."""

    @staticmethod
    def forward(
        ctx: Any, wav: Tensor, count: Tensor, first: Tensor, front: "PiecewiseFront"
    ) -> Tensor:
        """(B, N) -> (count, B, ``PIECE``, C); tracing needs only the shape."""
        return wav.new_zeros(int(count), wav.shape[0], PIECE, front.channels)

    @staticmethod
    def symbolic(g: Any, wav: Any, count: Any, first: Any, front: Any) -> Any:
        out = g.op(f"{DOMAIN}::{OP}", wav, count, first)
        out.setType(wav.type().with_sizes([None, None, PIECE, front.channels]))
        return out


class PiecewiseFront(nn.Module):
    """Takes the place of a transformers feature encoder in a graph to be exported."""

    def __init__(self, model: SpeechModel):
        super().__init__()
        layers = model.encoder.feature_extractor.conv_layers
        norm = getattr(layers[0], "layer_norm", None)
        self.norm = norm if isinstance(norm, nn.GroupNorm) else None
        self.conv, self.frames = layers[0].conv, model.frames
        self.piece = [Piece(layers)]  # in a list: it has a graph of its own
        self.channels = layers[-1].conv.out_channels
        self.step = PIECE * model.hop
        self.need = self.step - model.hop + model.min_samples

    def forward(self, wav: Tensor) -> Tensor:
        """(B, N) -> (B, C, T)."""
        frames = self.frames.count(torch.as_tensor(wav.shape[1]))
        count = (frames + PIECE - 1) // PIECE
        out = _Loop.apply(F.pad(wav, (0, self.need)), count, self._first(wav), self)
        return out.transpose(0, 1).flatten(1, 2)[:, :frames].transpose(1, 2)

    def _first(self, wav: Tensor) -> Tensor:
        """The first layer's weights with a group norm multiplied in, and below them the bias: (B or
        1, kernel + 1, C).
        """
        norm, conv = self.norm, self.conv
        if norm is None:
            bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
            return torch.cat([matrix(conv), bias[None]])[None]
        scale, shift = scale_and_shift(conv, norm, wav, getattr(norm, "frames", None))
        return torch.cat([matrix(conv) * scale[:, None], shift[:, None]], 1).float()


def in_pieces(model: SpeechModel) -> PiecewiseFront | None:
    """Replace the convolutions of ``model``, in place, if they are HuBERT's."""
    layers = getattr(getattr(model.encoder, "feature_extractor", None), "conv_layers", None)
    norm = getattr(layers[0], "layer_norm", None) if layers else None
    per_channel = not isinstance(norm, nn.GroupNorm) or norm.num_groups == norm.num_channels
    if not layers or not per_channel:
        return None
    model.encoder.feature_extractor = front = PiecewiseFront(model)
    return front


def put_loop(model: Any, front: PiecewiseFront, opset: int) -> None:
    """Replace the node of ``_Loop`` in an ONNX model by a Loop over ``front``'s pieces."""
    onnx = package("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    nodes = model.graph.node
    (at,) = (i for i, node in enumerate(nodes) if node.op_type == OP)
    wav, count, first = nodes[at].input
    inner = onnx.compose.add_prefix(_piece(front, opset), "piece/").graph
    for node in inner.node:
        node.input[:] = ["piece/samples" if n == "piece/wav" else n for n in node.input]
    model.graph.initializer.extend(inner.initializer)
    for name, value in (("step", front.step), ("need", front.need), ("axis", 1)):
        constant = helper.make_tensor(f"piece/{name}", types.INT64, [1], [value])
        model.graph.initializer.append(constant)
    # What the loop reads is passed on from piece to piece: values of the outer graph would be
    # legal, but the quantiser sorts nodes without looking into loops.
    passed = ["piece/go", "piece/wav", "piece/first"]
    cut = [
        helper.make_node("Mul", ["piece/number", "piece/step"], ["piece/from"]),
        helper.make_node("Add", ["piece/from", "piece/need"], ["piece/to"]),
        helper.make_node(
            "Slice", ["piece/wav", "piece/from", "piece/to", "piece/axis"], ["piece/samples"]
        ),
        *(helper.make_node("Identity", [name], [f"{name}/next"]) for name in passed),
    ]
    number = helper.make_tensor_value_info("piece/number", types.INT64, [])
    values = [helper.make_tensor_value_info(n, types.FLOAT, None) for n in passed[1:]]
    go = helper.make_tensor_value_info("piece/go", types.BOOL, [])
    go_on = helper.make_tensor_value_info("piece/go/next", types.BOOL, [])
    after = [helper.make_tensor_value_info(f"{n}/next", types.FLOAT, None) for n in passed[1:]]
    body = helper.make_graph(
        [*cut, *inner.node],
        "pieces",
        [number, go, *values],
        [go_on, *after, *inner.output],
    )
    outputs = ["pieces/wav", "pieces/first", *nodes[at].output]
    loop = helper.make_node("Loop", [count, "", wav, first], outputs, "pieces", body=body)
    nodes.remove(nodes[at])
    nodes.insert(at, loop)
    domains = [one for one in model.opset_import if one.domain == DOMAIN]
    for one in domains:
        model.opset_import.remove(one)


def _piece(front: PiecewiseFront, opset: int) -> Any:
    """The ONNX model of one piece."""
    rows = front.conv.kernel_size[0] + 1
    inputs = torch.zeros(2, front.need), torch.zeros(2, rows, front.conv.out_channels)
    names = ["wav", "first"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.onnx"
        torch.onnx.export(
            front.piece[0], inputs, str(path), input_names=names, output_names=["frames"],
            dynamic_axes={name: {0: "batch"} for name in [*names, "frames"]},
            opset_version=opset, dynamo=False,
        )  # fmt: skip
        return package("onnx").load(str(path))
