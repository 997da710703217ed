"""Export a student directory or an experiment to ONNX, with tokens for sherpa-onnx."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ModelError, UserError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.audio import RATE
from espnet_robust.device.classifier import ClassifierExperiment, read_classifier
from espnet_robust.device.experiment import is_classifier
from espnet_robust.device.features import Features
from espnet_robust.device.graph import ClassifierGraph, RecogniserGraph, SherpaGraph, StudentGraph
from espnet_robust.device.metadata import Metadata, pieces
from espnet_robust.device.onnx_file import DYNAMIC, EightBits, write_int8, write_onnx
from espnet_robust.device.recogniser import Experiment, read_experiment
from espnet_robust.device.runtime import Runtime
from espnet_robust.device.stream import stream_log_probs
from espnet_robust.device.stream_graph import StreamGraph, can_stream
from espnet_robust.models.speech_model import SpeechModel
from espnet_robust.models.student import load_student

FORMATS = ("onnx", "onnx-int8", "sherpa", "stream", "all")
FILES = [f"{name}{kind}.onnx" for name in ("model", "sherpa", "stream") for kind in ("", ".int8")]
TOKENS = "tokens.txt"  # beside sherpa.onnx
# Largest allowed difference between onnxruntime and torch. On noise, LSTMs amplify rounding errors:
# torch in float32 differs from torch in float64 by up to 7e-4. A wrong graph is off by more than 1.
TOLERANCE = 1e-2
SILENT = ("<unk>", "<sos/eos>")


@dataclass(frozen=True)
class Exported:
    """One exported file, and how much it differs from torch.

    Attributes:
        difference: the largest difference, on a second of noise; for a stream, from the recogniser
            that hears the whole second.
    """

    path: Path
    difference: float


def export(
    source: Path,
    out: Path,
    formats: str,
    checkpoint: str,
    int8: EightBits = DYNAMIC,
    note: Callable[[str], None] = lambda text: None,
) -> list[Exported]:
    """Write the files of a format into ``out``, in the place of all files of an earlier export.

    Args:
        source: a student directory, or an experiment of ESPnet's ASR or classification task.
        formats: one of ``FORMATS``. ``onnx``: model.onnx, with lengths; ``onnx-int8``:
            model.int8.onnx; ``sherpa``: sherpa.onnx, sherpa.int8.onnx and tokens.txt; ``stream``:
            stream.onnx and stream.int8.onnx; ``all``: each that the source allows.
        checkpoint: file name of an experiment's model.
        int8: how files in eight-bit integers are made.
        note: with ``all``, called with a line on each format that the source does not allow.

    Raises:
        ModelError: the source is neither student nor experiment, it cannot be exported, or an
            exported file's output differs from torch's.
        AudioError: an utterance to calibrate with is shorter than one frame.
        UserError: ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a directory for the exported files")
    config = read_config(source)
    if "arch" in config:
        if formats in ("sherpa", "stream"):
            raise ModelError(
                f"{source}: a student outputs no text; {formats} needs an ASR experiment"
            )
        student = load_student(source)
        features = Features(student, list(range(student.num_layers + 1)))
        metadata = student_metadata(student)
        graph = StudentGraph(features)
        return _replaced(out, lambda new: _with_lengths(graph, metadata, new, formats, int8))
    if is_classifier(config):
        if formats in ("sherpa", "stream"):
            raise ModelError(
                f"{source}: a classifier gives one label to a whole utterance; {formats} needs an "
                "ASR experiment"
            )
        classifier = read_classifier(source, checkpoint)
        metadata = classifier_metadata(classifier)
        whole = ClassifierGraph(classifier.model)
        return _replaced(out, lambda new: _with_lengths(whole, metadata, new, formats, int8))
    experiment = read_experiment(source, checkpoint)
    return _replaced(out, lambda new: _recogniser(source, experiment, new, formats, int8, note))


def _replaced(out: Path, write: Callable[[Path], list[Exported]]) -> list[Exported]:
    """Write files into a new directory and, once all are there, move them to ``out``.

    So the files of an earlier export stay if this one is refused. If not, all of them go: they may
    be of another model, and would look as if they belonged to this one's.
    """
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(".export.*"):  # by one that was killed
        shutil.rmtree(left)
    try:
        with tempfile.TemporaryDirectory(prefix=".export.", dir=out) as folder:
            done = write(Path(folder))
            theirs = {name for name in FILES if (out / name).exists()}
            if any(name.startswith("sherpa") for name in theirs):
                theirs.add(TOKENS)
            ours = list(Path(folder).iterdir())
            for path in ours:
                path.replace(out / path.name)
            for name in theirs - {path.name for path in ours}:
                (out / name).unlink(missing_ok=True)
    except BaseException:
        if made:
            with suppress(OSError):  # some files are there already; say what went wrong, not that
                out.rmdir()
        raise
    return [replace(one, path=out / one.path.name) for one in done]


def _recogniser(
    source: Path, experiment: Experiment, out: Path, formats: str, int8: EightBits,
    note: Callable[[str], None],
) -> list[Exported]:  # fmt: skip
    done = []
    if formats not in ("sherpa", "stream"):
        metadata = recogniser_metadata(experiment)
        graph = RecogniserGraph(experiment.model)
        done += _with_lengths(graph, metadata, out, formats, int8)
    others = {"sherpa": _for_sherpa, "stream": _as_stream}
    if formats == "all" and not can_stream(experiment.model):
        del others["stream"]  # nobody expects one
    for name, write in others.items():
        if formats == name:
            done += write(source, experiment, out, int8)
        elif formats == "all":
            try:
                done += write(source, experiment, out, int8)
            except ModelError as e:
                note(str(e))
    return done


def read_config(source: Path) -> dict:
    """The ``config.yaml`` of a student or an experiment. Raises ModelError if there is none."""
    if not (source / "config.yaml").is_file():
        raise ModelError(
            f"{source}: neither a student directory nor an ASR or classification experiment: no "
            "config.yaml in it"
        )
    return read_yaml(source / "config.yaml")


def source_rate(source: Path) -> int:
    """The sampling rate, in Hz, of a student or of the student of an experiment.

    Raises:
        ModelError: neither.
    """
    config = read_config(source)
    if "arch" not in config:
        student = (config.get("frontend_conf") or {}).get("student") or {}
        if "arch" not in student and "path" in student:
            return source_rate(Path(student["path"]))
        config = student.get("arch") or {}
    return config.get("rate", RATE)


def student_metadata(student: SpeechModel) -> Metadata:
    return Metadata("student", student.rate, student.hop, student.min_samples)


def recogniser_metadata(experiment: Experiment) -> Metadata:
    model = experiment.model
    student = model.frontend.speech_model
    return Metadata(
        "recogniser", student.rate, model.hop, student.min_samples,
        pieces=pieces(experiment.tokens, experiment.token_type),
    )  # fmt: skip


def classifier_metadata(experiment: ClassifierExperiment) -> Metadata:
    model, slots = experiment.model, experiment.classes.slots
    student = model.frontend.speech_model
    return Metadata(
        "classifier", student.rate, model.hop, student.min_samples,
        slots=[list(slot) for slot in slots],
    )  # fmt: skip


def _with_lengths(
    graph: nn.Module, metadata: Metadata, out: Path, formats: str, how: EightBits
) -> list[Exported]:
    path, int8 = out / "model.onnx", out / "model.int8.onnx"
    write_onnx(graph, metadata, path)
    done = [_checked(graph, metadata, path, TOLERANCE)]
    if formats in ("onnx-int8", "all"):
        write_int8(path, int8, how)
        done.append(_checked(graph, metadata, int8, np.inf))
    if formats == "onnx-int8":
        path.unlink()
        done = done[1:]
    return done


def _for_sherpa(source: Path, experiment: Experiment, out: Path, how: EightBits) -> list[Exported]:
    silent = [i for i, token in enumerate(experiment.tokens) if token in SILENT]
    graph = SherpaGraph(experiment.model, silent, str(source))
    metadata = recogniser_metadata(experiment)
    metadata = replace(metadata, hop=metadata.hop // graph.repeats)
    path, int8 = out / "sherpa.onnx", out / "sherpa.int8.onnx"
    write_onnx(graph, metadata, path)
    write_int8(path, int8, how)
    # sherpa-onnx recognises the blank by this name; pieces contain no spaces.
    symbols = ["<blk>", *metadata.pieces[1:]]
    lines = (f"{symbol} {number}" for number, symbol in enumerate(symbols))
    write_atomic(out / TOKENS, "\n".join(lines) + "\n")
    return [_checked(graph, metadata, path, TOLERANCE), _checked(graph, metadata, int8, np.inf)]


def _as_stream(source: Path, experiment: Experiment, out: Path, how: EightBits) -> list[Exported]:
    graph = StreamGraph(experiment.model, str(source))
    metadata = stream_metadata(experiment, graph)
    path, int8 = out / "stream.onnx", out / "stream.int8.onnx"
    write_onnx(graph, metadata, path)
    write_int8(path, int8, how)
    return [_checked(graph, metadata, path, TOLERANCE), _checked(graph, metadata, int8, np.inf)]


def stream_metadata(experiment: Experiment, graph: StreamGraph) -> Metadata:
    student = graph.student
    frames, hop = student.config.chunk, experiment.model.frontend.speech_model.hop
    states = graph.first_states().items()
    return replace(
        recogniser_metadata(experiment),
        kind="stream",
        batch=False,
        chunk={
            "samples": student.chunk_samples, "shift": frames * hop,
            "frames": frames, "subsample": graph.subsample,
        },
        states={
            name: [str(value.dtype).removeprefix("torch."), list(value.shape)]
            for name, value in states
        },
    )  # fmt: skip


def _checked(graph: nn.Module, metadata: Metadata, path: Path, tolerance: float) -> Exported:
    done = _measured(graph, metadata, path)
    if not done.difference <= tolerance:  # so that NaN, which compares with nothing, is refused
        path.unlink()
        raise ModelError(
            f"{path.name}: onnxruntime's output differs from torch's by {done.difference:.2g}; "
            "removed"
        )
    return done


def _measured(graph: nn.Module, metadata: Metadata, path: Path) -> Exported:
    wav = 0.1 * torch.randn(1, metadata.rate, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([metadata.rate])
    if isinstance(graph, StreamGraph):
        with torch.no_grad():
            ours = graph.recogniser(wav, None)[0]
        theirs = np.concatenate(list(stream_log_probs(Runtime(path), [wav[0].numpy()])))[None]
    else:
        with torch.no_grad():
            ours = graph(wav) if isinstance(graph, SherpaGraph) else graph(wav, lengths)[0]
        theirs = Runtime(path).run(wav.numpy(), lengths.numpy())[0]
    return Exported(path, float(np.abs(ours.numpy() - theirs).max()))
