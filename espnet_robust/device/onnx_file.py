"""Write ONNX files: trace, check, add metadata; quantise MatMuls to eight bits."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from espnet_robust.common.files import write_atomic
from espnet_robust.device.graph import trace
from espnet_robust.device.metadata import KEY, Metadata
from espnet_robust.device.runtime import LENGTHS, package


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
    """onnxruntime's CalibrationDataReader, one utterance per step."""

    def __init__(self, wavs: Sequence[np.ndarray], lengths: bool):
        self._batches = self._each(wavs, lengths)

    @staticmethod
    def _each(wavs: Sequence[np.ndarray], lengths: bool) -> Iterator[dict[str, np.ndarray]]:
        for wav in wavs:
            batch = {"samples" if lengths else "x": wav[None]}
            yield batch | ({LENGTHS: np.array([len(wav)])} if lengths else {})

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def write_int8(source: Path, path: Path, calibration: Sequence[np.ndarray] = ()) -> None:
    """Copy an ONNX file, with the speech model's matrix products in eight-bit integers.

    The layers above the speech model stay float32: they are a small part of the arithmetic, and in
    integers they caused most of the changed texts (``conf/device/RESULTS.md``). Weights have a
    scale per output. Activation scales come from each run's own range (dynamic) or, with
    ``calibration``, from the range on those utterances (static). Convolutions and LSTMs stay
    float32 as well: dynamic convolutions are slower in onnxruntime than float ones.

    Args:
        calibration: utterances (samples,) float32, with distortions like those in use.
    """
    onnx = package("onnx")
    quantization = package("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as folder:
        prepared, out = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        # Fold constants and infer shapes; otherwise some products are overlooked.
        package("onnxruntime.quantization.shape_inference").quant_pre_process(
            str(source), str(prepared), skip_symbolic_shape=True
        )
        options = {
            "op_types_to_quantize": ["MatMul"],
            "per_channel": True,
            "weight_type": quantization.QuantType.QInt8,
            "nodes_to_exclude": _above_the_speech_model(onnx.load(str(prepared))),
        }
        if calibration:
            names = [one.name for one in onnx.load(str(source)).graph.input]
            quantization.quantize_static(
                str(prepared), str(out), _Utterances(calibration, LENGTHS in names),
                activation_type=quantization.QuantType.QUInt8, **options,
            )  # fmt: skip
        else:
            quantization.quantize_dynamic(str(prepared), str(out), **options)
        model = onnx.load(str(out))
    properties = {one.key: one.value for one in onnx.load(str(source)).metadata_props}
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    write_atomic(path, model.SerializeToString())


def _above_the_speech_model(model: Any) -> list[str]:
    """Names of the matrix products in a recogniser's encoder and output layer; [] for a student."""
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul"
        and "/recogniser/" in node.name
        and "/frontend/" not in node.name
    ]
