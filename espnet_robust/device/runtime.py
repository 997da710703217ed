"""Run an exported model with onnxruntime. Needs neither torch nor ESPnet."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.device.metadata import Metadata, parse

ON_DEVICE = "pip install onnxruntime numpy soundfile soxr"  # all that running a model needs
IN_CHECKOUT = "pip install -e '.[device]'"  # exporting and quantising
LENGTHS = "lengths"  # an input that the graph for sherpa-onnx does not have


def package(name: str, fix: str = "") -> ModuleType:
    """Import an optional package. If missing, raises ConfigError that says how to install it.

    Args:
        fix: the command that installs it; default: the one for what runs on the device, or in a
            checkout, where models are exported, for other packages.
    """
    try:
        return importlib.import_module(name)
    except ImportError as e:
        fix = fix or (ON_DEVICE if name in ON_DEVICE.split() else IN_CHECKOUT)
        raise ConfigError(f"{name} is needed but not installed ({e}); fix: {fix}") from e


class Runtime:
    """An exported model and its metadata.

    Args:
        path: an ONNX file written by ``espnet-robust export``.
        threads: number of computing threads.

    Raises:
        ModelError: no such file, not ONNX, or written by another program.
    """

    def __init__(self, path: Path, threads: int = 1):
        if not path.is_file():
            raise ModelError(f"{path}: no such file; make it with espnet-robust export")
        onnxruntime = package("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3  # errors
        options.enable_mem_pattern = False  # its plans cost a quarter more memory
        # Otherwise a waiting thread keeps its core busy.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # From the path, so that the file is not in memory twice.
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as e:  # its exceptions have no common base class
            raise ModelError(f"{path}: cannot be run as an ONNX model: {_first_line(e)}") from e
        properties = self.session.get_modelmeta().custom_metadata_map
        self.metadata: Metadata = parse(properties, str(path))
        self.inputs = [one.name for one in self.session.get_inputs()]

    def __call__(self, wav: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, N) float32 samples, (B,) int64 lengths -> the output per row, and its frames (B,)."""
        out, *frames = self.run(wav, lengths)
        return out, frames[0] if frames else np.full(len(wav), out.shape[1])

    def run(self, wav: np.ndarray, lengths: np.ndarray) -> Sequence[Any]:
        """(B, N) float32 samples, (B,) int64 lengths -> the outputs of the graph."""
        feed = {self.inputs[0]: wav} | ({LENGTHS: lengths} if LENGTHS in self.inputs else {})
        return self.session.run(None, feed)

    def rows(self, wavs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Utterances (samples,) float32 -> the output of each, (T, V), or (layers, T, D) for a
        student; in one run if the file allows it, else one after another.
        """
        together = self.metadata.batch and LENGTHS in self.inputs
        groups = [list(wavs)] if together else [[wav] for wav in wavs]
        rows = []
        for group in groups:
            out, frames = self(*_padded(group))
            rows += [row[..., :n, :] for row, n in zip(out, frames.tolist(), strict=True)]
        return rows

    def classes(self, wavs: Sequence[np.ndarray]) -> np.ndarray:
        """Utterances (samples,) float32 -> log probabilities of a classifier's classes (B, C)."""
        return self.run(*_padded(wavs))[0]


def _padded(wavs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Utterances (samples,) -> (B, N) float32 with zeros behind them, and their lengths (B,)."""
    lengths = np.array([len(wav) for wav in wavs])
    out = np.zeros((len(wavs), lengths.max()), np.float32)
    for row, wav in zip(out, wavs, strict=True):
        row[: len(wav)] = wav
    return out, lengths


def recogniser(path: Path, threads: int = 1) -> Runtime:
    """A ``Runtime`` with a recogniser, of whole utterances or of streams. Raises ModelError if the
    file holds only a student, or a classifier.
    """
    runtime = listener(path, threads)
    if runtime.metadata.kind == "classifier":
        raise ModelError(f"{path}: holds a classifier, which outputs labels; need a recogniser")
    return runtime


def listener(path: Path, threads: int = 1) -> Runtime:
    """A ``Runtime`` with a recogniser or a classifier. Raises ModelError if the file holds only a
    student.
    """
    runtime = Runtime(path, threads)
    if runtime.metadata.kind == "student":
        raise ModelError(
            f"{path}: holds a student without a recogniser; export the directory of an ASR or "
            "classification experiment"
        )
    return runtime


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
