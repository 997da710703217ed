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
    """The convolutions of one piece. A group norm is a scale and a shift, known beforehand."""

    conv: nn.Module
    activation: nn.Module

    def __init__(self, layers: Any, grouped: bool):
        super().__init__()
        self.layers, self.grouped = layers, grouped
        self.conv, self.activation = layers[0].conv, layers[0].activation

    def forward(self, wav: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """(B, samples) -> (B, C, ``PIECE``); ``scale`` and ``shift`` (B, C', 1)."""
        x = wav[:, None]
        for i, layer in enumerate(self.layers):
            if i == 0 and self.grouped:
                x = self.activation(self.conv(x) * scale + shift)
            else:
                x = layer(x)
        return x


class _Loop(torch.autograd.Function):
    """Stands for the loop while a graph is traced; ``put_loop`` replaces its node."""

    @staticmethod
    def forward(ctx: Any, wav: Tensor, count: Tensor, scale: Tensor, shift: Tensor,
                front: "PiecewiseFront") -> Tensor:  # fmt: skip
        """(B, N) -> (count, B, C, ``PIECE``); tracing needs only the shape."""
        return wav.new_zeros(int(count), wav.shape[0], front.channels, PIECE)

    @staticmethod
    def symbolic(g: Any, wav: Any, count: Any, scale: Any, shift: Any, front: Any) -> Any:
        out = g.op(f"{DOMAIN}::{OP}", wav, count, scale, shift)
        out.setType(wav.type().with_sizes([None, None, front.channels, PIECE]))
        return out


class PiecewiseFront(nn.Module):
    """Takes the place of a transformers feature encoder in a graph to be exported."""

    def __init__(self, model: SpeechModel):
        super().__init__()
        layers = model.encoder.feature_extractor.conv_layers
        norm = getattr(layers[0], "layer_norm", None)
        self.norm = norm if isinstance(norm, nn.GroupNorm) else None
        self.conv, self.frames = layers[0].conv, model.frames
        self.piece = [Piece(layers, self.norm is not None)]  # in a list: it has a graph of its own
        self.channels = layers[-1].conv.out_channels
        self.step = PIECE * model.hop
        self.need = self.step - model.hop + model.min_samples

    def forward(self, wav: Tensor) -> Tensor:
        """(B, N) -> (B, C, T)."""
        scale, shift = self._affine(wav)
        frames = self.frames.count(torch.as_tensor(wav.shape[1]))
        count = (frames + PIECE - 1) // PIECE
        out = _Loop.apply(F.pad(wav, (0, self.need)), count, scale, shift, self)
        return out.permute(1, 2, 0, 3).flatten(2)[:, :, :frames]

    def _affine(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """The first layer's group norm as scale and shift (B, C, 1)."""
        if self.norm is None:
            return wav[:, :1, None], wav[:, :1, None]
        frames = getattr(self.norm, "frames", None)
        scale, shift = scale_and_shift(self.conv, self.norm, wav, frames)
        return scale.float()[..., None], shift.float()[..., None]


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
    wav, count, scale, shift = nodes[at].input
    inner = onnx.compose.add_prefix(_piece(front, opset), "piece/").graph
    for node in inner.node:
        node.input[:] = ["piece/samples" if n == "piece/wav" else n for n in node.input]
    model.graph.initializer.extend(inner.initializer)
    for name, value in (("step", front.step), ("need", front.need), ("axis", 1)):
        constant = helper.make_tensor(f"piece/{name}", types.INT64, [1], [value])
        model.graph.initializer.append(constant)
    # What the loop reads is passed on from piece to piece: values of the outer graph would be
    # legal, but the quantiser sorts nodes without looking into loops.
    passed = ["piece/go", "piece/wav", "piece/scale", "piece/shift"]
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
    outputs = ["pieces/wav", "pieces/scale", "pieces/shift", *nodes[at].output]
    loop = helper.make_node("Loop", [count, "", wav, scale, shift], outputs, "pieces", body=body)
    nodes.remove(nodes[at])
    nodes.insert(at, loop)
    domains = [one for one in model.opset_import if one.domain == DOMAIN]
    for one in domains:
        model.opset_import.remove(one)


def _piece(front: PiecewiseFront, opset: int) -> Any:
    """The ONNX model of one piece."""
    channels = front.conv.out_channels if front.norm is not None else 1
    inputs = torch.zeros(2, front.need), torch.ones(2, channels, 1), torch.zeros(2, channels, 1)
    names = ["wav", "scale", "shift"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.onnx"
        torch.onnx.export(
            front.piece[0], inputs, str(path), input_names=names, output_names=["frames"],
            dynamic_axes={name: {0: "batch"} for name in [*names, "frames"]},
            opset_version=opset, dynamo=False,
        )  # fmt: skip
        return package("onnx").load(str(path))
