"""Scores and counts made up for tests of the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from espnet_robust.score.counts_file import UtteranceErrors, write_counts
from espnet_robust.score.schema import ConditionScore, Scores, write_scores

WORDS = 10  # in each utterance
WER_FILES = [  # of a report, but for its page
    "cost.png", "cost.svg", "summary.txt", "wer.csv", "wer.md", "wer.png", "wer.svg", "wer.tex",
]  # fmt: skip


def scores(system, seed=0, wers=None, **extra) -> Scores:
    """Scores with these WERs by condition; a name that ends in _snrN or _rt60_T has that value."""
    conditions = []
    for name, wer in (wers or {"noise_snr5": 50.0, "clean": 10.0, "clip": 30.0}).items():
        snr_db = float(name.split("_snr")[1]) if "_snr" in name else None
        rt60 = float(name.split("_rt60_")[1]) if "_rt60_" in name else None
        conditions.append(
            ConditionScore(
                name, 20, snr_db, rt60, words=20 * WORDS, wer=wer, cer=wer / 2, speakers=4
            )
        )
    return Scores("asr", system, seed, tuple(conditions), **extra)


def accuracies(system, seed=0, **accuracy) -> Scores:
    conditions = tuple(ConditionScore(name, 20, accuracy=x) for name, x in accuracy.items())
    return Scores("cls", system, seed, conditions, params=1_000_000)


def counts(rate: float, seed: int = 0, speakers: int = 4, words: int = WORDS) -> UtteranceErrors:
    """20 utterances of some speakers, with errors at a rate in per cent, in all exactly that."""
    rng = np.random.default_rng(seed)
    total = round(rate * 20 * words / 100)
    errors = np.bincount(rng.permutation(np.arange(20 * words) % 20)[:total], minlength=20)
    table = np.zeros((20, 4), int)
    table[:, 0], table[:, 1] = words, errors
    ids = tuple(f"u{n:02d}" for n in range(20))
    return UtteranceErrors(ids, tuple(f"s{n % speakers}" for n in range(20)), table, table)


def write_run(directory: Path, run: Scores, rates: Mapping[str, float] | None = None) -> Path:
    """SYSTEM_seedN/scores.json, and with ``rates`` (condition -> per cent) the counts beside it."""
    path = directory / f"{run.system}_seed{run.seed}" / "scores.json"
    path.parent.mkdir(parents=True)
    write_scores(path, run)
    if rates is not None:
        words = 1 if run.task == "cls" else WORDS
        errors = {
            name: counts(rate, number, words=words)
            for number, (name, rate) in enumerate(rates.items(), run.seed)
        }
        write_counts(path.with_name("counts.tsv"), errors)
    return path


def write_all(directory: Path, *runs: Scores) -> list[Path]:
    """Runs whose counts have the rates of their scores."""
    paths = []
    for run in runs:
        rates = {
            c.name: c.wer if c.wer is not None else 100 - (c.accuracy or 0) for c in run.conditions
        }
        paths.append(write_run(directory, run, rates))
    return paths


def cells(markdown: str, row: str, table: int = 0) -> dict[str, str]:
    """Column -> cell of one row of a table of the page."""
    tables: list[list[list[str]]] = [[]]
    for line in markdown.splitlines():
        if line.startswith("|"):
            tables[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif tables[-1]:
            tables.append([])
    found: Sequence[Sequence[str]] = tables[table]
    cells = next(line for line in found if line[0] == row)
    return dict(zip(found[0], cells, strict=True))
