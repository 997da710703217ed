"""Measure one model in its own process: ``python -m espnet_robust.device.measure``.

In its own process, so that peak memory is the model's alone and imports are those a device needs:
an ONNX file runs without torch here too. Prints one JSON object.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Run = Callable[[np.ndarray], object]


def measure(path: Path, threads: int, lengths: list[float], repeats: int) -> dict[str, object]:
    """Time and memory of a student directory (torch) or an ONNX file (onnxruntime).

    Returns:
        load: seconds until the model is ready, including imports; first: seconds until the first
        result, for the shortest length; wall and cpu: {seconds of audio: median time of ``repeats``
        runs}; peak_mib: peak memory of the process.
    """
    began = time.perf_counter()
    run, rate = _onnx(path, threads) if path.suffix == ".onnx" else _torch(path, threads)
    load = time.perf_counter() - began
    rng = np.random.default_rng(0)
    wavs = [(0.1 * rng.standard_normal(round(n * rate))).astype(np.float32) for n in lengths]
    run(wavs[0])
    first = time.perf_counter() - began
    wall, cpu = {}, {}
    for seconds, wav in zip(lengths, wavs, strict=True):
        run(wav)  # preparations for a new shape are not counted
        times = [_timed(run, wav) for _ in range(repeats)]
        wall[f"{seconds:g}"] = float(np.median([one[0] for one in times]))
        cpu[f"{seconds:g}"] = float(np.median([one[1] for one in times]))
    return {"load": load, "first": first, "wall": wall, "cpu": cpu, "peak_mib": peak_mib()}


def peak_mib() -> float:
    """Peak memory of this process, MiB.

    From Linux's /proc, because getrusage's figure includes that of the parent process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _timed(run: Run, wav: np.ndarray) -> tuple[float, float]:
    """(wall clock, processor time of all threads), s."""
    wall, cpu = time.perf_counter(), time.process_time()
    run(wav)
    return time.perf_counter() - wall, time.process_time() - cpu


def _onnx(path: Path, threads: int) -> tuple[Run, int]:
    """What runs the model, and its sampling rate in Hz."""
    from espnet_robust.device.runtime import Runtime

    runtime = Runtime(path, threads)
    return lambda wav: runtime.run(wav[None], np.array([len(wav)])), runtime.metadata.rate


def _torch(path: Path, threads: int) -> tuple[Run, int]:
    """What runs the student, and its sampling rate in Hz."""
    import torch

    from espnet_robust.models.student import load_student

    torch.set_num_threads(threads)
    model = load_student(path)

    def run(wav: np.ndarray) -> object:
        with torch.inference_mode():
            return model(torch.from_numpy(wav)[None], torch.tensor([len(wav)]))

    return run, model.rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("repeats", type=int)
    parser.add_argument("seconds", type=float, nargs="+")
    args = parser.parse_args()
    print(json.dumps(measure(args.path, args.threads, args.seconds, args.repeats)))


if __name__ == "__main__":
    main()
