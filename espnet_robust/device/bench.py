"""Measure speed, memory and size of models in every format, side by side."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import ModelError
from espnet_robust.device.export import export, read_config
from espnet_robust.device.onnx_file import EightBits, has_pieces, write_int8
from espnet_robust.device.shapes import save_shape
from espnet_robust.models.arithmetic import multiply_accumulates
from espnet_robust.models.student import load_student

FORMATS = {
    "torch": None,
    "onnx": "model.onnx",
    "onnx-int8": "model.int8.onnx",
    "onnx-int8-convolutions": "model.int8_convolutions.onnx",
}


@dataclass(frozen=True)
class Case:
    """One model in one format. ``path`` is a student directory or an ONNX file."""

    model: str
    format: str
    path: Path
    mib: float
    parameters: int
    mmacs: float  # millions of multiply-accumulates per second of audio
    front_mmacs: float


def random_cases(work: Path, names: Sequence[str]) -> list[Case]:
    """Shapes from ``shapes.FULL`` with random weights, in every format; files go to ``work``."""
    cases = []
    for name in names:
        save_shape(name, work / name / "student")
        cases += student_cases(name, work / name / "student", work / name)
    return cases


def student_cases(name: str, student: Path, work: Path) -> list[Case]:
    """A student directory in every format; ONNX files go to ``work``.

    Raises:
        ModelError: not a student directory.
    """
    if "arch" not in read_config(student):
        raise ModelError(f"{student}: not a student directory; bench measures encoders")
    model = load_student(student)
    macs = multiply_accumulates(model, 5.0)
    size = sum(p.numel() for p in model.parameters())
    export(student, work, "all", "")
    formats = dict(FORMATS)
    if has_pieces(work / "model.onnx"):
        how = EightBits(convolutions=True)
        write_int8(work / "model.onnx", work / "model.int8_convolutions.onnx", how)
    else:
        del formats["onnx-int8-convolutions"]
    cases = []
    for form, file in formats.items():
        path = work / file if file else student
        weights = path if file else student / "model.safetensors"
        mib = weights.stat().st_size / 2**20
        cases.append(Case(name, form, path, mib, size, macs["all"] / 5e6, macs["front"] / 5e6))
    return cases


def bench(
    cases: Sequence[Case], threads: Sequence[int], lengths: Sequence[float], rounds: int
) -> list[dict[str, Any]]:
    """Measure every case once in each of ``rounds`` rounds.

    The speed-up over the first case (say, the teacher in torch) is the median over rounds of the
    ratio of processor times within a round, so that it is valid on a machine that does other work.

    Returns:
        A row for each case and number of threads; ``markdown`` shows its keys.
    """
    rows = []
    for count in threads:
        found: list[list[dict[str, Any]]] = [[] for _ in cases]
        for _ in range(rounds):
            for results, case in zip(found, cases, strict=True):
                results.append(_in_a_process(case.path, count, lengths))
        rows += [
            _row(case, count, results, found[0]) for case, results in zip(cases, found, strict=True)
        ]
    return rows


def _row(
    case: Case, threads: int, results: list[dict[str, Any]], first: list[dict[str, Any]]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model": case.model, "format": case.format, "threads": threads, "mib": case.mib,
        "parameters": case.parameters, "mmacs": case.mmacs, "front_mmacs": case.front_mmacs,
    }  # fmt: skip
    for key in ("load", "first", "peak_mib"):
        row[key] = statistics.median(one[key] for one in results)
    for length in results[0]["wall"]:
        wall = statistics.median(one["wall"][length] for one in results)
        ratios = [
            theirs["cpu"][length] / ours["cpu"][length]
            for ours, theirs in zip(results, first, strict=True)
        ]
        row[f"rtf_{length}"] = wall / float(length)
        row[f"speed_up_{length}"] = statistics.median(ratios)
    return row


def _in_a_process(path: Path, threads: int, lengths: Sequence[float]) -> dict[str, Any]:
    repeats = 3
    command = [sys.executable, "-W", "ignore", "-m", "espnet_robust.device.measure", path, threads,
               repeats, *lengths]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        raise ModelError(f"{path}: cannot be measured: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def processor() -> str:
    """The name of the CPU and how many cores are visible."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} visible"


COLUMNS = {
    "model": ("model", ""), "format": ("format", ""), "threads": ("threads", "d"),
    "parameters": ("parameters, M", ".1f"), "mmacs": ("MMAC/s", ".0f"), "mib": ("file, MiB", ".1f"),
    "peak_mib": ("peak memory, MiB", ".0f"), "first": ("first result, s", ".2f"),
}  # fmt: skip


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table, with real-time factors and speed-ups for each length."""
    lengths = [key.removeprefix("rtf_") for key in rows[0] if key.startswith("rtf_")]
    columns = dict(COLUMNS)
    columns |= {f"rtf_{n}": (f"RTF, {n} s", ".4f") for n in lengths}
    columns |= {f"speed_up_{n}": (f"speed-up, {n} s", ".2f") for n in lengths}
    lines = [[title for title, _ in columns.values()], ["---"] * len(columns)]
    for row in rows:
        shown = row | {"parameters": row["parameters"] / 1e6}
        lines.append([format(shown[key], form) for key, (_, form) in columns.items()])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
