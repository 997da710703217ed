"""Write ONNX files: trace, check, add metadata; quantise MatMuls to eight bits."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from espnet_robust.common.errors import ModelError
from espnet_robust.common.files import write_atomic
from espnet_robust.device.audio import check_length
from espnet_robust.device.graph import trace
from espnet_robust.device.metadata import KEY, Metadata
from espnet_robust.device.runtime import LENGTHS, Runtime, package
from espnet_robust.device.stream import Stream

PRODUCTS = ("MatMul", "Gemm")  # a Gemm is a MatMul with a bias, of fixed shape


def write_onnx(graph: nn.Module, metadata: Metadata, path: Path) -> None:
    """Write one of ``graph.py``'s graphs with its metadata, after onnx has checked it."""
    onnx = package("onnx")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "traced.onnx"
        trace(graph, metadata.rate, str(file))
        model = onnx.load(str(file))
    if metadata.pieces:
        # sherpa-onnx takes the number of tokens from the shape.
        shape = model.graph.output[0].type.tensor_type.shape
        shape.dim[2].dim_value = len(metadata.pieces)
    onnx.helper.set_model_props(model, {KEY: metadata.dump()})
    onnx.checker.check_model(model, full_check=True)
    write_atomic(path, model.SerializeToString())


class _Utterances:
    """onnxruntime's CalibrationDataReader: the inputs of a graph for each utterance or chunk."""

    def __init__(self, wavs: Mapping[str, np.ndarray], source: Path):
        model = Runtime(source)
        for utterance, wav in wavs.items():
            check_length(utterance, len(wav), model.metadata)
        each = self._chunks if model.metadata.states else self._whole
        self._batches = each(list(wavs.values()), model)

    @staticmethod
    def _whole(wavs: Sequence[np.ndarray], model: Runtime) -> Iterator[dict[str, np.ndarray]]:
        for wav in wavs:
            batch = {model.inputs[0]: wav[None]}
            yield batch | ({LENGTHS: np.array([len(wav)])} if LENGTHS in model.inputs else {})

    @staticmethod
    def _chunks(wavs: Sequence[np.ndarray], model: Runtime) -> Iterator[dict[str, np.ndarray]]:
        for wav in wavs:
            stream = Stream(model)
            for inputs in stream.cut(wav):
                yield inputs
                stream.run(inputs)
            yield from stream.rest()

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


@dataclass(frozen=True)
class EightBits:
    """How a file in eight-bit integers is made.

    Attributes:
        calibration: {name: (samples,) float32}, utterances with distortions like those in use,
            whose ranges of activations set the scales (static); none: each run sets its own
            (dynamic).
        convolutions: HuBERT's convolutions too; their scales are set by each piece of each run.
    """

    calibration: Mapping[str, np.ndarray] = field(default_factory=dict)
    convolutions: bool = False


DYNAMIC = EightBits()


def write_int8(source: Path, path: Path, how: EightBits = DYNAMIC) -> None:
    """Copy an ONNX file, with the speech model's matrix products in eight-bit integers.

    The layers above the speech model stay float32: they are a small part of the arithmetic, and in
    integers they caused most of the changed texts (``conf/device/RESULTS.md``). Weights have a
    scale per output. The positional convolution and LSTMs stay float32 as well: dynamic
    convolutions are slower in onnxruntime than float ones.

    Raises:
        ModelError: ``convolutions``, but the model has none that can be in integers.
        AudioError: an utterance to calibrate with is shorter than one frame.
    """
    onnx = package("onnx")
    quantization = package("onnxruntime.quantization")
    if how.convolutions and not has_pieces(source):
        raise ModelError(
            f"{source.name}: its student has no convolutions like HuBERT's; export it without "
            "--int8_convolutions"
        )
    with tempfile.TemporaryDirectory() as folder:
        prepared, out = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        # Fold constants and infer shapes; otherwise some products are overlooked.
        package("onnxruntime.quantization.shape_inference").quant_pre_process(
            str(source), str(prepared), skip_symbolic_shape=True
        )
        options = {
            "op_types_to_quantize": list(PRODUCTS),
            "per_channel": True,
            "weight_type": quantization.QuantType.QInt8,
        }
        model = onnx.load(str(prepared))
        left = _left_in_float(model, _trained(source))
        if how.calibration:
            if how.convolutions:  # calibration does not look into loops
                _dynamic(prepared, prepared, _names(model, lambda node: True), True, options)
            quantization.quantize_static(
                str(prepared), str(out), _Utterances(how.calibration, source),
                activation_type=quantization.QuantType.QUInt8, nodes_to_exclude=left, **options,
            )  # fmt: skip
        else:
            _dynamic(prepared, out, left, how.convolutions, options)
        model = onnx.load(str(out))
    properties = {one.key: one.value for one in onnx.load(str(source)).metadata_props}
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    write_atomic(path, model.SerializeToString())


def has_pieces(file: Path) -> bool:
    """Whether an exported file has convolutions that can be in integers (``pieces.py``)."""
    return any(node.op_type == "Loop" for node in package("onnx").load(str(file)).graph.node)


def _dynamic(
    source: Path, out: Path, left: Sequence[str], loops: bool, options: dict[str, Any]
) -> None:
    package("onnxruntime.quantization").quantize_dynamic(
        str(source), str(out), nodes_to_exclude=left, extra_options={"EnableSubgraph": loops},
        **options,
    )  # fmt: skip


def _trained(source: Path) -> set[str]:
    """Names of the trained weights in an exported file. A filter bank's matrices are constants."""
    return {one.name for one in package("onnx").load(str(source)).graph.initializer}


def _left_in_float(model: Any, trained: set[str]) -> list[str]:
    """Names of the matrix products that stay float32: those above the speech model; those without
    trained weights, of attention and of a filter bank; and the one that takes log energies.

    Eight bits are too few for the range of samples, spectra and energies, and those of silence
    would take most of the range from speech (conf/device/RESULTS.md).
    """
    takes_energies = any(node.op_type == "Log" for node in model.graph.node)

    def stays(node: Any) -> bool:
        return (
            node.input[1] not in trained
            or _is_above(node.name)
            or (takes_energies and "/feature_projection/" in node.name)
        )

    return _names(model, stays)


def _names(model: Any, which: Callable[[Any], bool]) -> list[str]:
    """Names of those matrix products outside loops."""
    products = (node for node in model.graph.node if node.op_type in PRODUCTS)
    names = [node.name for node in products if which(node)]
    # The dynamic quantiser first turns each Gemm into a MatMul of this name.
    return [*names, *(f"{name}_MatMul" for name in names)]


def _is_above(name: str) -> bool:
    if name.startswith(("/projections.", "/ctc_lo/")):  # as the graph of a stream names them
        return True
    whole = "/recogniser/" in name or "/classifier/" in name
    return whole and "/frontend/" not in name
