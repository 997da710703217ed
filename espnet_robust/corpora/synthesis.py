"""What the synthetic corpora share: generators by name, a planned batch of files, levels."""

import json
import multiprocessing
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from espnet_robust.audio import audio_info
from espnet_robust.files import write_atomic


def generator(seed: int, name: str) -> np.random.Generator:
    """A generator for one named part of a corpus: another part never moves what it draws."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def to_rms(wav: np.ndarray, dbfs: float, peak: float = 0.95) -> np.ndarray:
    """Scale to an RMS level in dB re full scale, or less where a sample would exceed ``peak``."""
    rms = np.sqrt(np.mean(np.square(wav, dtype=np.float64)))
    gain = min(10 ** (dbfs / 20) / rms, peak / np.abs(wav).max())
    return (wav * gain).astype(np.float32)


def make_files(
    make: Callable[[dict], None],
    items: Sequence[dict],
    audio_dir: Path,
    *,
    nj: int,
    label: str,
) -> dict[str, int]:
    """Call ``make(item)`` for every item whose ``item["path"]`` is not there yet.

    ``plan.jsonl`` in ``audio_dir`` holds the items: a run killed half-way continues, and one with
    anything else in its plan (seed, sentences, synthesiser) starts from an empty directory.
    ``make`` must write atomically and is called in ``nj`` processes.

    Returns:
        item["id"] -> number of samples
    """
    plan = "".join(json.dumps(item, sort_keys=True) + "\n" for item in items)
    plan_file = audio_dir / "plan.jsonl"
    if audio_dir.exists() and not (plan_file.exists() and plan_file.read_text() == plan):
        shutil.rmtree(audio_dir)
    audio_dir.mkdir(parents=True, exist_ok=True)
    write_atomic(plan_file, plan)
    todo = [item for item in items if not Path(item["path"]).exists()]
    with tqdm(
        total=len(items), initial=len(items) - len(todo), desc=label, unit="file", mininterval=1
    ) as bar:
        for _ in _each(make, todo, nj):
            bar.update()
    return {item["id"]: audio_info(item["path"]).num_samples for item in items}


def _each(make: Callable[[dict], None], items: Sequence[dict], nj: int) -> Iterable[None]:
    if nj == 1 or len(items) <= 1:
        yield from map(make, items)
        return
    # spawn, not fork: the caller may hold threads (tqdm's monitor, a BLAS).
    with multiprocessing.get_context("spawn").Pool(nj) as pool:
        yield from pool.imap_unordered(make, items, chunksize=4)
