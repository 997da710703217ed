"""Shared by the synthetic corpora: named random generators, planned batches of files, levels."""

import argparse
import json
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import write_atomic
from espnet_robust.common.processes import unordered
from espnet_robust.data.audio import RATE, audio_info, write_audio
from espnet_robust.data.data_dir import iter_table


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add the options of a synthetic corpus."""
    parser.add_argument("--seed", type=at_least(0), default=0, help="(default: 0)")
    parser.add_argument("--nj", type=at_least(1), default=2, help="processes (default: 2)")


def at_least(low: int) -> Callable[[str], int]:
    """A whole number of ``low`` or more, for argparse."""

    def number(text: str) -> int:
        if int(text) < low:
            raise ValueError
        return int(text)

    number.__name__ = f"number of {low} or more"  # argparse: "invalid number of 1 or more value"
    return number


def generator(seed: int, name: str) -> np.random.Generator:
    """A generator for one named part of a corpus: its draws do not depend on other parts."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def to_rms(wav: np.ndarray, dbfs: float, peak: float = 0.95) -> np.ndarray:
    """Scale to an RMS level in dB re full scale, or less if a sample would exceed ``peak``."""
    rms = np.sqrt(np.mean(np.square(wav, dtype=np.float64)))
    gain = min(10 ** (dbfs / 20) / rms, peak / np.abs(wav).max())
    return (wav * gain).astype(np.float32)


class Made(NamedTuple):
    path: Path
    num_samples: int


def make_files(
    render: Callable[[dict], np.ndarray],
    items: Sequence[dict],
    audio_dir: Path,
    *,
    nj: int,
    label: str,
    together: str = "id",
) -> dict[str, Made]:
    """Write ``render(item)`` to ``audio_dir / item["file"]`` for every item that is not yet there.

    ``plan.jsonl`` in ``audio_dir`` holds the items: a run that was killed resumes, and a run with
    another plan (seed, sentences, synthesiser) starts from an empty directory.

    Args:
        render: called in ``nj`` processes; returns (samples,) at 16 kHz.
        items: JSON-able, with "id" and "file"; if ``render`` reads files, with a digest of the
            content of each, so that other audio under the same names is another plan.
        together: one process renders all items that have this key in common, in their order, so
            that it can keep what is costly to compute for the first of them.

    Returns:
        item["id"] -> file and length.

    Raises:
        UserError: ``audio_dir`` was not made by this function.
    """
    _keep_plan(audio_dir, items)
    paths = [audio_dir / item["file"] for item in items]
    todo = [(item, path) for item, path in zip(items, paths, strict=True) if not path.exists()]
    progress = partial(tqdm, desc=label, unit="file", mininterval=1, disable=not todo)
    with progress(total=len(items), initial=len(items) - len(todo)) as bar:
        # spawn, not fork: the caller may have threads (the progress bar's, a BLAS's).
        units = [list(unit) for _, unit in groupby(todo, lambda each: each[0][together])]
        each = unordered(partial(_render_all, render), units, min(nj, len(units)), start="spawn")
        for number in each:
            bar.update(number)
    return {
        item["id"]: Made(path, audio_info(path).num_samples)
        for item, path in zip(items, paths, strict=True)
    }


def _keep_plan(audio_dir: Path, items: Sequence[dict]) -> None:
    """Empty ``audio_dir`` unless it has the same plan; raise UserError if it has none."""
    plan = "".join(json.dumps(item, sort_keys=True) + "\n" for item in items)
    plan_file = audio_dir / "plan.jsonl"
    old = audio_dir.with_name(f".{audio_dir.name}.old")
    if old.is_dir():  # of a run that was killed while it removed this
        shutil.rmtree(old)
    if plan_file.exists():
        if plan_file.read_text(encoding="utf-8") != plan:
            audio_dir.rename(old)  # at once: half of it would look like another's
            shutil.rmtree(old)
    elif audio_dir.exists() and any(audio_dir.iterdir()):
        raise UserError(f"{audio_dir} was not made by this command; move it out of the way")
    audio_dir.mkdir(parents=True, exist_ok=True)
    write_atomic(plan_file, plan)


def _render_all(render: Callable[[dict], np.ndarray], unit: Sequence[tuple[dict, Path]]) -> int:
    """Write what one process renders in a go; returns the number of files."""
    for item, path in unit:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, render(item))
    return len(unit)


def remove_part(path: Path, audio_dir: Path) -> None:
    """Remove a data dir that an earlier run made of ``audio_dir`` and that is not asked for now.

    Its audio is gone, or is that of other options. A data dir of other audio stays.
    """
    if not (path / "wav.scp").is_file():
        return
    # By the name alone: paths may be relative, and the run from another directory.
    if any(audio_dir.name in Path(entry).parts for _, entry in iter_table(path / "wav.scp")):
        print(f"{path}: removed: this corpus was asked for without it", file=sys.stderr)
        shutil.rmtree(path)


def audio_tables(made: Mapping[str, Made], ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """wav.scp, utt2dur (s) and utt2num_samples for files made by ``make_files``."""
    chosen = {utt: made[utt] for utt in ids}
    return {
        "wav.scp": {utt: str(m.path) for utt, m in chosen.items()},
        "utt2dur": {utt: f"{m.num_samples / RATE:.4f}" for utt, m in chosen.items()},
        "utt2num_samples": {utt: str(m.num_samples) for utt, m in chosen.items()},
    }
