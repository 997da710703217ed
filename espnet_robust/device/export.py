"""Export a student directory or an ASR experiment to ONNX, with tokens for sherpa-onnx."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ModelError
from espnet_robust.common.files import write_atomic
from espnet_robust.device.graph import RecogniserGraph, SherpaGraph, StudentGraph
from espnet_robust.device.metadata import Metadata, pieces
from espnet_robust.device.onnx_file import write_int8, write_onnx
from espnet_robust.device.recogniser import Experiment, Features, read_experiment
from espnet_robust.device.runtime import Runtime
from espnet_robust.models.speech_model import SpeechModel
from espnet_robust.models.student import load_student

FORMATS = ("onnx", "onnx-int8", "sherpa", "all")
# Largest allowed difference between onnxruntime and torch. On noise, LSTMs amplify rounding errors:
# torch in float32 differs from torch in float64 by up to 7e-4. A wrong graph is off by more than 1.
TOLERANCE = 1e-2
SILENT = ("<unk>", "<sos/eos>")


@dataclass(frozen=True)
class Exported:
    """One exported file, and how much it differs from torch.

    Attributes:
        difference: the largest difference, on a second of noise.
    """

    path: Path
    difference: float


def export(
    source: Path, out: Path, formats: str, checkpoint: str, calibration: Sequence[np.ndarray] = ()
) -> list[Exported]:
    """Write the files of a format into ``out``.

    Args:
        source: a student directory or an ASR experiment.
        formats: one of ``FORMATS``. ``onnx``: model.onnx, with lengths; ``onnx-int8``:
            model.int8.onnx; ``sherpa``: sherpa.onnx, sherpa.int8.onnx and tokens.txt.
        checkpoint: file name of an experiment's model.
        calibration: utterances (samples,) whose activation ranges set the scales of eight-bit
            integers; none: each run sets its own.

    Raises:
        ModelError: the source is neither student nor experiment, it cannot be exported, or an
            exported file's output differs from torch's.
    """
    config = read_config(source)
    out.mkdir(parents=True, exist_ok=True)
    if "arch" in config:
        if formats == "sherpa":
            raise ModelError(f"{source}: a student outputs no text; sherpa needs an ASR experiment")
        student = load_student(source)
        features = Features(student, list(range(student.num_layers + 1)))
        return _with_lengths(StudentGraph(features), student_metadata(student), out, formats,
                             calibration)  # fmt: skip
    experiment = read_experiment(source, checkpoint)
    done = []
    if formats != "sherpa":
        metadata = recogniser_metadata(experiment)
        graph = RecogniserGraph(experiment.model)
        done += _with_lengths(graph, metadata, out, formats, calibration)
    if formats in ("sherpa", "all"):
        done += _for_sherpa(experiment, out, calibration)
    return done


def read_config(source: Path) -> dict:
    """The ``config.yaml`` of a student or an experiment. Raises ModelError if there is none."""
    if not (source / "config.yaml").is_file():
        raise ModelError(
            f"{source}: neither a student directory nor an ASR experiment: no config.yaml in it"
        )
    return read_yaml(source / "config.yaml")


def student_metadata(student: SpeechModel) -> Metadata:
    return Metadata("student", student.rate, student.hop, student.min_samples)


def recogniser_metadata(experiment: Experiment) -> Metadata:
    model = experiment.model
    student = model.frontend.speech_model
    return Metadata(
        "recogniser", student.rate, model.hop, student.min_samples,
        pieces=pieces(experiment.tokens, experiment.token_type),
    )  # fmt: skip


def _with_lengths(
    graph: nn.Module, metadata: Metadata, out: Path, formats: str, calibration: Sequence[np.ndarray]
) -> list[Exported]:
    path, int8 = out / "model.onnx", out / "model.int8.onnx"
    write_onnx(graph, metadata, path)
    done = [_checked(graph, metadata, path)]
    if formats in ("onnx-int8", "all"):
        write_int8(path, int8, calibration)
        done.append(_measured(graph, metadata, int8))
    if formats == "onnx-int8":
        path.unlink()
        done = done[1:]
    return done


def _for_sherpa(
    experiment: Experiment, out: Path, calibration: Sequence[np.ndarray]
) -> list[Exported]:
    tokens = experiment.tokens
    graph = SherpaGraph(experiment.model, [i for i, t in enumerate(tokens) if t in SILENT])
    metadata = recogniser_metadata(experiment)
    metadata = Metadata(**vars(metadata) | {"hop": metadata.hop // graph.repeats})
    path, int8 = out / "sherpa.onnx", out / "sherpa.int8.onnx"
    write_onnx(graph, metadata, path)
    write_int8(path, int8, calibration)
    # sherpa-onnx recognises the blank by this name; pieces contain no spaces.
    symbols = ["<blk>", *metadata.pieces[1:]]
    lines = (f"{symbol} {number}" for number, symbol in enumerate(symbols))
    write_atomic(out / "tokens.txt", "\n".join(lines) + "\n")
    return [
        _checked(graph, metadata, path),
        _measured(graph, metadata, int8),
    ]


def _checked(graph: nn.Module, metadata: Metadata, path: Path) -> Exported:
    done = _measured(graph, metadata, path)
    if done.difference > TOLERANCE:
        path.unlink()
        raise ModelError(
            f"{path}: onnxruntime's output differs from torch's by {done.difference:.2g}; removed"
        )
    return done


def _measured(graph: nn.Module, metadata: Metadata, path: Path) -> Exported:
    wav = 0.1 * torch.randn(1, metadata.rate, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([metadata.rate])
    with torch.no_grad():
        ours = graph(wav) if isinstance(graph, SherpaGraph) else graph(wav, lengths)[0]
    theirs, _ = Runtime(path)(wav.numpy(), lengths.numpy())
    return Exported(path, float(np.abs(ours.numpy() - theirs).max()))
